"""Settings from where people write them: defaults < recipe of the source < TOML file < environment < --set.

    [train]                       PIPELINE_TRAIN_EPOCHS=3        --set train.epochs=3
    epochs = 3

A file in pipeline/profiles/ is found by its bare name: --config fast. Every problem is told at once, before anything
runs.
"""

import difflib
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from components.errors import ConfigError
from components.settings.fields import problem
from components.settings.sections import SECTIONS, Ingest, Params
from components.settings.source_defaults import SOURCE_DEFAULTS

FROM_ENVIRONMENT = {
    "MNIST_DIR": "ingest.data_dir",
    "TFDS_DATA_DIR": "ingest.tfds_dir",
    "PIPELINE_PYTHON": "schedule.python",
}
SETTINGS = {f"{section}.{f.name}": f for section, kind in SECTIONS.items() for f in fields(kind)}
PROFILES = Path(__file__).parent / "profiles"
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def load(
    file: str = "",
    overrides: Iterable[str] = (),
    source: str = "",
    environment: Mapping[str, str] | None = None,
    have: Callable[[Ingest], bool] = lambda _: False,
) -> tuple[Params, str]:
    """The settings of a run, and what a person must be told about the choice of the source ("" for nothing).

    *file* is a TOML file, *overrides* are texts "train.epochs=3", *source* is short for ingest.source; *have* tells
    whether a source's images were ingested before (then "auto" need not look for them). Raises ConfigError with every
    problem found.
    """
    values = [*layers(file, overrides, environment)]
    if source:
        values.append(("ingest.source", source))
    if problems := [text for name, value in values if (text := _problem(name, value))]:
        raise ConfigError(*problems)
    return settle(dict(values), have)


def layers(
    file: str, overrides: Iterable[str], environment: Mapping[str, str] | None = None
) -> Iterator[tuple[str, Any]]:
    """(name, value) as people wrote them, unchecked, each layer after those that it wins over."""
    yield from _file(file)
    yield from _environment(os.environ if environment is None else environment)
    yield from _overrides(overrides)


def settle(values: Mapping[str, Any], have: Callable[[Ingest], bool]) -> tuple[Params, str]:
    """Complete *values* ("train.epochs" -> 3): choose the source where it is "auto", add what is recommended for it."""
    from components.ingest.sources import select

    ingest = Ingest(**_section(values, "ingest"))
    mnist = replace(ingest, source="mnist")
    ingest, notice = (mnist, "") if ingest.source == "auto" and have(mnist) else select.choose(ingest)
    values = {**SOURCE_DEFAULTS.get(ingest.source, {}), **values, "ingest.source": ingest.source}
    values.setdefault("register.name", f"{select.name(ingest)}-classifier")
    values.setdefault("register.experiment", values["register.name"])
    return complete(values), notice


def complete(values: Mapping[str, Any]) -> Params:
    """*values* ("train.epochs" -> 3) as settings, what is not among them at its default; raises ConfigError."""
    from components.models import catalog

    sections: dict[str, Any] = {name: kind(**_section(values, name)) for name, kind in SECTIONS.items()}
    for name in sections["train"].networks:
        catalog.check(name, sections["train"])
    return Params(**sections)


def chosen(params: Params) -> dict[str, Any]:
    """The settings that a person chose: those that differ from what the source alone would give."""
    usual, _ = settle({"ingest.source": params.ingest.source}, lambda _: False)
    return {name: value for name, value in flat(params).items() if value != flat(usual)[name]}


def flat(params: Params) -> dict[str, Any]:
    """Every setting by its full name: {"train.epochs": 12, ...}."""
    return {f"{section}.{name}": value for section, values in asdict(params).items() for name, value in values.items()}


def written(file: str = "", environment: Mapping[str, str] | None = None) -> tuple[dict[str, Any], list[str]]:
    """What the settings file and the environment say, by full name, and what is wrong with the rest of it.

    For a DAG file, which has to be drawn even where a setting is wrong: `load` refuses it when the run begins.
    """
    environment = os.environ if environment is None else environment
    layers, problems = list(_environment(environment)), list[str]()
    try:
        layers = [*_file(file), *layers]
    except ConfigError as error:
        problems = list(error.problems)
    wrong = {name: text for name, value in layers if (text := _problem(name, value))}
    return {name: value for name, value in layers if name not in wrong}, [*problems, *wrong.values()]


def _section(values: Mapping[str, Any], section: str) -> dict[str, Any]:
    return {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{section}.")}


def _problem(name: str, value: Any) -> str | None:
    return problem(name, SETTINGS[name], value) if name in SETTINGS else unknown(name)


def profiles() -> list[str]:
    """The names of the profiles that come with the project."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def located(file: str) -> Path:
    """The settings file *file*, or the profile of that name where there is no such file."""
    profile = PROFILES / f"{file}.toml"
    return profile if file in profiles() and not Path(file).is_file() else Path(file)


def unknown(name: str) -> str:
    """That no setting is called *name*, and which one is nearly."""
    near = difflib.get_close_matches(name, SETTINGS, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else "python -m pipeline settings lists them all"
    return f"no setting is called '{name}'; {hint}"


def document(path: str) -> dict[str, Any]:
    """The sections of the settings file *path*."""
    try:
        content = tomllib.loads(located(path).read_text())
    except FileNotFoundError:
        raise ConfigError(
            f"there is no settings file {path}; give --config a TOML file that exists, or a profile: "
            + ", ".join(profiles())
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"the settings file {path} cannot be read: {error}") from None
    for section, values in content.items():
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: '{section}' stands outside a section; write it under one, such as [train]")
    return content


def _file(path: str) -> Iterator[tuple[str, Any]]:
    sections = document(path) if path else {}
    for section, values in sections.items():
        if section == "tune":  # what to search, for `tune` alone: pipeline/tuning/plan.py reads it
            continue
        yield from ((f"{section}.{name}", value) for name, value in values.items())


def _environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for variable, name in FROM_ENVIRONMENT.items():
        if environment.get(variable):
            yield name, environment[variable]
    for variable, text in sorted(environment.items()):
        section, _, name = variable.removeprefix("PIPELINE_").lower().partition("_")
        if variable.startswith("PIPELINE_") and section in SECTIONS and name:
            yield f"{section}.{name}", parse(f"{section}.{name}", text)


def _overrides(texts: Iterable[str]) -> Iterator[tuple[str, Any]]:
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text} has no value; write it as --set train.epochs=3")
        yield name.strip(), parse(name.strip(), value.strip())


def parse(name: str, text: str) -> Any:
    """*text* as the type of the setting *name*; the text itself where it is none, so that the check can quote it."""
    kind: type = type(SETTINGS[name].default) if name in SETTINGS else str
    if kind is bool:
        return WORDS.get(text.lower(), text)
    try:
        return kind(text)
    except ValueError:
        return text
