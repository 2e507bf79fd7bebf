"""What of two machines can make other bits of the same training."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

from components.system.tensorflow import THREADS
from pipeline.store.recipe import Recipe

# variables that a run sets itself: threads are compared apart, messages change no bits, there is one backend
NO_DIFFERENCE = (THREADS, "TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND")
FEATURES = (
    ("amx_tile", "AMX"),
    ("avx512f", "AVX-512"),
    ("avx2", "AVX2"),
    ("avx", "AVX"),
    ("sve", "SVE"),
    ("asimd", "NEON"),
)

Environment = Mapping[str, Any]  # components.system.environment, as it was recorded


class Computing(NamedTuple):
    """What the recipe of train says of the machine: how many threads compute, and the GPU, "" for none."""

    threads: int
    gpu: str


def computing(recipe: Recipe) -> Computing:
    return Computing(cast("int", recipe["params"].get("threads", 0)), recipe["runtime"].get("gpu", ""))


def differences(then: tuple[Computing, Environment], here: tuple[Computing, Environment]) -> list[str]:
    """What differs: "AMD EPYC with AVX2 here, Intel Xeon with AMX then"; [] for the same kind of machine."""
    return [*_computing(then[0], here[0]), *_environments(then[1], here[1])]


def _computing(then: Computing, here: Computing) -> Iterator[str]:
    if then.threads != here.threads:
        yield f"{here.threads} thread{'' if here.threads == 1 else 's'} here, {then.threads} then"
    if then.gpu != here.gpu:
        yield f"{here.gpu or 'no GPU'} here, {then.gpu or 'none'} then"


def _environments(then: Environment, here: Environment) -> Iterator[str]:
    if not then or not here:
        yield "what it was trained on is not recorded"
        return
    if then["processor"] != here["processor"]:
        yield from _processors(then["processor"], here["processor"])
    elif then["caches"] != here["caches"]:
        yield "a processor with other caches"
    for name, shown in (("machine", "machine"), ("glibc", "glibc"), ("python", "Python")):
        if then[name] != here[name]:
            yield f"{shown} {here[name] or 'none'} here, {then[name] or 'none'} then"
    variables = sorted((then["variables"].keys() | here["variables"].keys()) - {*NO_DIFFERENCE})
    for name in variables:
        before, now = (of["variables"].get(name, "not set") for of in (then, here))
        if before != now:
            yield f"{name} {now} here, {before} then"


def _processors(then: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    if described(then) != described(here):
        yield f"{described(here)} here, {described(then)} then"
        return
    more, less = ({*one["instructions"]} - {*other["instructions"]} for one, other in ((here, then), (then, here)))
    words = [f"{'with' if these is more else 'without'} {', '.join(sorted(these))}" for these in (more, less) if these]
    yield f"{here['model']} {' and '.join(words)} here"


def described(processor: Mapping[str, Any]) -> str:
    """ "Intel Xeon with AMX": its model, and the widest of its instructions."""
    best = next((name for flag, name in FEATURES if flag in processor["instructions"]), "")
    return f"{processor['model']}{f' with {best}' * bool(best)}"
