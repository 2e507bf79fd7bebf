"""What a search varies, and how long: [tune] of a settings file, checked as strictly as the settings are.

[tune]
trials = 30

[tune.space]
"train.learning_rate" = {low = 1e-4, high = 1e-2, log = true}
"train.model" = {choices = ["cnn", "dense"]}
"""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

from components.errors import ConfigError, SourceError
from components.settings.fields import Section, problem, setting
from components.settings.sections import SECTIONS, Params
from pipeline import config

OF_THE_IMAGES = ("ingest.image_size", "ingest.channels")
EXAMPLE = '"train.dropout" = {low = 0.1, high = 0.5}'


@dataclass(frozen=True)
class Tune(Section):
    """The entries of [tune]; the command's options win over them."""

    trials: int = setting(20, "trials to finish in all", minimum=1, maximum=100_000)
    parallel: int = setting(1, "trials at a time, each in a process of its own", minimum=1, maximum=64)
    seconds: float = setting(0.0, "longest time for one call; 0: no bound", minimum=0)
    objective: str = setting("accuracy", "what is held best on the validation images", choices=("accuracy", "loss"))
    seed: int = setting(0, "seed of the choice of what to try", minimum=0)
    startup: int = setting(5, "completed trials before any is pruned", minimum=1)
    warmup: int = setting(1, "first epochs of a trial that are not judged", minimum=0)
    study: str = setting("tune", "name of the study; that of the settings file, where left out")


@dataclass(frozen=True)
class Range:
    low: float
    high: float
    log: bool = False

    def __contains__(self, value: Any) -> bool:
        return bool(self.low <= value <= self.high)


@dataclass(frozen=True)
class Choices:
    values: tuple[Any, ...]

    def __contains__(self, value: Any) -> bool:
        return value in self.values


Space = dict[str, Range | Choices]


@dataclass(frozen=True)
class Plan:
    """A search: *params* are the settings that stay, *written* those among them that a person wrote."""

    tune: Tune
    space: Space
    params: Params
    written: dict[str, Any]

    def settings(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Every setting of the trial that *chosen* makes."""
        return {**config.flat(self.params), **chosen}

    @property
    def first(self) -> dict[str, Any]:
        """What the settings have now, to be tried first; {} where the space does not hold it."""
        now = {name: config.flat(self.params)[name] for name in self.space}
        return now if all(value in self.space[name] for name, value in now.items()) else {}


def plan(file: str, overrides: Iterable[str], options: Mapping[str, Any], load: Callable[[], Params]) -> Plan:
    """The search that the settings file *file* asks for; *options* are entries of [tune] given on the command line.

    *load* gives the settings that stay. Raises ConfigError with every problem of both.
    """
    if not file:
        raise ConfigError("tune needs a settings file with a section [tune.space]; give it as --config FILE")
    entries = dict(config.document(file).get("tune", {}))
    ranges = entries.pop("space", {})
    overrides = list(overrides)
    given = {name: value for name, value in options.items() if value is not None}
    tune, problems = _tune({"study": Path(file).stem, **entries, **given})
    space, wrong = _space(ranges)
    problems += wrong
    problems += [
        f"{name} is searched, and set by --set or the environment to {value!r} too; leave one of the two out"
        for name, value in config.layers("", overrides)
        if name in space
    ]
    try:
        params = load()
    except ConfigError as error:
        problems = [*error.problems, *problems]
    except SourceError:
        if not problems:
            raise
    if problems:
        raise ConfigError(*problems)
    return Plan(tune, space, params, {**_written(file, overrides), "ingest.source": params.ingest.source})


def _written(file: str, overrides: Iterable[str]) -> dict[str, Any]:
    """What people wrote, without where this machine keeps its data."""
    environment = {name: text for name, text in os.environ.items() if name not in config.FROM_ENVIRONMENT}
    return dict(config.layers(file, overrides, environment))


def _tune(entries: Mapping[str, Any]) -> tuple[Tune, list[str]]:
    known = {f.name: f for f in fields(Tune)}
    problems = [_unknown(name, known) for name in entries if name not in known]
    values = {name: value for name, value in entries.items() if name in known}
    wrong = {name: text for name, value in values.items() if (text := problem(f"tune.{name}", known[name], value))}
    sound = {name: value for name, value in values.items() if name not in wrong}
    if not re.fullmatch(r"\w[\w.-]*", str(sound.get("study", "tune"))):
        wrong["study"] = f"the study is called {sound['study']!r}; name it with letters, digits and _.- by --study NAME"
    return Tune(**sound), [*problems, *wrong.values()]


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, [*known, "space"], n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join([*known, 'space'])}"
    return f"no entry of [tune] is called '{name}'; {hint}"


def _space(ranges: Any) -> tuple[Space, list[str]]:
    if not isinstance(ranges, dict) or not ranges:
        return {}, [f"[tune.space] names no setting to search; write one there, such as {EXAMPLE}"]
    space, problems = Space(), list[str]()
    for name, asked in _named(ranges):
        if found := [*_setting(name)] or [*_asked(name, asked, config.SETTINGS[name])]:
            problems += found
        else:
            space[name] = _span(asked, type(config.SETTINGS[name].default))
    return space, problems


def _span(asked: Mapping[str, Any], kind: type) -> Range | Choices:
    if "choices" in asked:
        return Choices(tuple(kind(value) for value in asked["choices"]))
    return Range(kind(asked["low"]), kind(asked["high"]), asked.get("log", False))


def _named(ranges: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, what is asked): TOML takes an unquoted train.dropout for an entry dropout of a table train."""
    for name, asked in ranges.items():
        if name in SECTIONS and isinstance(asked, dict):
            yield from ((f"{name}.{short}", inner) for short, inner in asked.items())
        else:
            yield name, asked


def _setting(name: str) -> Iterator[str]:
    """Why *name* cannot be searched."""
    section = name.partition(".")[0]
    if name not in config.SETTINGS:
        yield f"tune.space: {config.unknown(name)}"
    elif name == "train.seed":
        yield "tune.space names train.seed, which is chance: a search would keep the luckiest; leave it out"
    elif section == "normalize" or name == "ingest.test_share":
        yield f"tune.space names {name}, which chooses the validation images: no trial would compare; leave it out"
    elif section != "train" and name not in OF_THE_IMAGES:
        yield (
            f"tune.space names {name}, which changes nothing that is trained; expected a setting of train, "
            f"{' or '.join(OF_THE_IMAGES)}"
        )


def _asked(name: str, asked: Any, spec: "Field[Any]") -> Iterator[str]:
    """What is wrong with the range or the choices for the setting *name*."""
    kinds = ({"low", "high"}, {"low", "high", "log"}, {"choices"})
    if not isinstance(asked, dict) or set(asked) not in kinds:
        yield f"tune.space: {name} is {asked!r}; expected {{low = ..., high = ..., log = true}} or {{choices = [...]}}"
    elif "choices" in asked:
        yield from _choices(name, asked["choices"], spec)
    else:
        yield from _range(name, asked["low"], asked["high"], asked.get("log", False), spec)


def _choices(name: str, values: Any, spec: "Field[Any]") -> Iterator[str]:
    if not isinstance(values, list) or len({repr(value) for value in values}) < max(2, len(values)):
        yield f"tune.space: the choices of {name} are {values!r}; expected a list of two or more different values"
        return
    yield from (f"tune.space: {text}" for value in values if (text := problem(name, spec, value)))


def _range(name: str, low: Any, high: Any, log: Any, spec: "Field[Any]") -> Iterator[str]:
    if type(spec.default) not in (int, float) or spec.metadata["choices"]:
        yield f"tune.space: {name} has no range; list what to try as {{choices = [...]}}"
        return
    wrong = [text for value in (low, high) if (text := problem(name, spec, value))]
    yield from (f"tune.space: {text}" for text in wrong)
    if not isinstance(log, bool):
        yield f"tune.space: log of {name} is {log!r}; expected true or false"
    elif not wrong and low >= high:
        yield f"tune.space: {name} goes from low = {low} to high = {high}; expected low below high"
    elif not wrong and log and low <= 0:
        yield f"tune.space: {name} begins at low = {low}, which has no logarithm; give it low above 0, or no log"
