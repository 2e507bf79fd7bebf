"""What an artifact's bytes depend on, written down (the recipe), and the hash that names it (the key).

    recipe = {stage, code, params, inputs, runtime}
      code     module -> hash of its syntax tree, for the stage's module and every module it reaches, of a custom
               network also the user's own files
      params   the stage's own settings, those that can change the bytes
      inputs   stage -> digest of its files (not its key: changed code that yields the same bytes stops there); for a
               distillation also teacher -> sha256 of its model file; of ingest, source -> fingerprint of the images,
               and corrections -> hash of what they change, where they change anything
      runtime  distribution -> version, read from package metadata; the threads in which TensorFlow computes, the GPU
               where there is one, and the variables that change its arithmetic where a user set one

The recipe is stored readable in the artifact's manifest: "why did it run again?" is a difference of two recipes.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from functools import cache as cached
from pathlib import Path
from typing import TypedDict

from components.models import catalog
from components.settings.fields import Section
from components.settings.sections import Params, words
from components.system.canonical import canonical, sha256
from components.system.distributions import distribution_of, version
from components.system.gpu import gpus, named
from pipeline.graph import STAGES
from pipeline.store.code_hash import code_hashes

# settings of train that the machine decides where they are left open, components/train/machine.py
# variables by which TensorFlow, oneDNN and XLA choose how they compute, each with the value that it usually has here
ARITHMETIC = {
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "ONEDNN_MAX_CPU_ISA": "",
    "DNNL_MAX_CPU_ISA": "",
    "ONEDNN_DEFAULT_FPMATH_MODE": "",
    "TF_XLA_FLAGS": "",
    "XLA_FLAGS": "",
}
CORRECTIONS = "corrections"  # an input of ingest
OF_MACHINE = {"threads": "0 takes the cores of this machine", "precision": "auto follows the processor"}


class Recipe(TypedDict):
    stage: str
    code: dict[str, str]
    params: dict[str, object]
    inputs: dict[str, str]
    runtime: dict[str, str]


def key(recipe: Recipe) -> str:
    """The name of the artifact that *recipe* makes: 16 hexadecimal digits (64 bits) of its sha256."""
    return sha256(canonical(recipe))[:16]


def recipe_of(
    stage: str, params: Params, inputs: Mapping[str, str], source: str = "", *, cache: Path | None = None
) -> Recipe:
    """The recipe of *stage*; *inputs* maps the stages it reads to digests, *source* identifies ingest's images.

    *cache* is the folder that remembers the hashes of code.
    """
    return {
        "stage": stage,
        "code": code_hashes(cache).reached(modules_of(stage, params)),
        "params": settings_in_key(getattr(params, stage)),
        "inputs": ({"source": source} if stage == "ingest" else {}) | dict(inputs),
        "runtime": {**runtime(distributions(stage, params, cache)), **_arithmetic(stage, params)},
    }


def settings_in_key(section: Section) -> dict[str, object]:
    return {f.name: getattr(section, f.name) for f in fields(section) if f.metadata["in_key"]}


def modules_of(stage: str, params: Params) -> list[str]:
    """The modules where the code of *stage* begins: its own, and those that a setting names."""
    modules = [f"components.{stage}.stage"]
    if stage == "train":
        modules += [module for name in params.train.networks for module in _of_network(name)]
        modules += ["components.train.distributed.launcher"] if params.train.workers > 1 else []
    if stage == "export":
        modules += [f"components.export.writers.{name}" for name in words(params.export.formats)]
    if stage == "ingest":
        from components.ingest.select import kind

        modules.append(f"components.ingest.sources.{kind(params.ingest.source)}")
    return modules


def _arithmetic(stage: str, params: Params) -> dict[str, str]:
    """What else decides how TensorFlow rounds: its threads, a setting of train; a GPU; variables that a user set."""
    if "tensorflow" not in STAGES[stage].runtime:
        return {}
    threads = {"threads": str(params.train.threads)} if stage != "train" else {}
    if models := gpus():
        threads["gpu"] = named(models)
    set_here = {name: os.environ.get(name, usual) for name, usual in ARITHMETIC.items()}
    return threads | {name: value for name, value in set_here.items() if value != ARITHMETIC[name]}


def distributions(stage: str, params: Params, cache: Path | None = None) -> tuple[str, ...]:
    """The packages whose version can change the bytes of *stage*.

    Converters only for the formats that use them, and what custom networks import.
    """
    fixed, of_settings = STAGES[stage].runtime, set[str]()
    if stage == "export":
        from components.export.formats import format_of

        of_settings = {name for form in words(params.export.formats) for name in format_of(form).distributions}
    if stage == "train":
        custom = [catalog.module_of(name) for name in params.train.networks if catalog.is_custom(name)]
        packages = code_hashes(cache).installed(custom) if custom else set()
        of_settings = {name for package in packages - {*fixed} if (name := distribution_of(package))}
    return (*fixed, *sorted(of_settings - {*fixed}))


def _of_network(name: str) -> list[str]:
    """The module of a network; for a custom network also the module that builds it."""
    module = catalog.module_of(name)
    return ["components.models.custom", module] if catalog.is_custom(name) else [module]


@cached
def runtime(distributions: tuple[str, ...]) -> dict[str, str]:
    """Version of Python and of each distribution."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"python": python, **{name: _version(name) for name in distributions}}


def _version(name: str) -> str:
    if name == "tensorflow":  # the CPU build computes the same under another name
        with suppress(ModuleNotFoundError):
            return version("tensorflow-cpu")
    return version(name)


def differences(old: Recipe, new: Recipe) -> list[str]:
    """How *new* differs from *old*, a sentence each: "train.epochs 3 -> 5", "train/stage.py changed"."""
    sentences = []
    for part in ("params", "inputs", "code", "runtime"):
        before, after = _part(old, part), _part(new, part)
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                sentences.append(_difference(new["stage"], part, name, before.get(name), after.get(name)))
    return sentences


def _part(recipe: Recipe, part: str) -> Mapping[str, object]:
    parts: dict[str, Mapping[str, object]] = {
        "params": recipe["params"],
        "inputs": recipe["inputs"],
        "code": recipe["code"],
        "runtime": recipe["runtime"],
    }
    return parts[part]


def _difference(stage: str, part: str, name: str, before: object, after: object) -> str:
    if part == "params":
        hint = f" ({OF_MACHINE[name]}; --set {stage}.{name}={before} keeps the old)" if name in OF_MACHINE else ""
        return f"{stage}.{name} {before!r} -> {after!r}{hint if before is not None else ''}"
    if part == "inputs" and name == CORRECTIONS:
        return "corrections of labels " + ("are new" if before is None else "are gone" if after is None else "changed")
    if part == "inputs":
        return f"input {name} changed"
    if part == "code":
        verb = "is new" if before is None else "is gone" if after is None else "changed"
        return f"{name.replace('.', '/')}.py {verb}"
    return f"{name} {before} -> {after}"
