"""The plan of a search: [tune] and [tune.space] of a settings file, checked as strictly as the settings.

[tune]
trials = 30

[tune.space]
"train.learning_rate" = {low = 1e-4, high = 1e-2, log = true}
"train.model" = {choices = ["cnn", "dense"]}
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import Field, asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast

from components.errors import ConfigError, SourceError
from components.formatting import did_you_mean
from components.settings.fields import Section, problem, setting, shown, without_effect
from components.settings.sections import SECTIONS, Params, Train
from pipeline import config

IMAGE_SETTINGS = ("ingest.image_size", "ingest.channels", "ingest.fit")
LONGEST_STUDY = 200  # bytes: files are called by its name
EXAMPLE = '"train.dropout" = {low = 0.1, high = 0.5}'
EXPECTED = "{low = ..., high = ..., log = true} or {choices = [...]}"

Value = bool | int | float | str  # of a setting
Settings = dict[str, Value]  # by full name: {"train.epochs": 12}


@dataclass(frozen=True)
class Tune(Section):
    """The entries of [tune]; the command's options take precedence."""

    trials: int = setting(20, "number of finished trials", minimum=1, maximum=100_000)
    parallel: int = setting(1, "trials at a time, each in a process of its own", minimum=1, maximum=64)
    seconds: float = setting(0.0, "time limit of one call; 0: none", minimum=0)
    objective: str = setting("accuracy", "what is optimized on the validation images", choices=("accuracy", "loss"))
    seed: int = setting(0, "seed of the sampler", minimum=0)
    startup: int = setting(5, "trials that complete before any is pruned", minimum=1)
    warmup: int = setting(1, "first epochs of a trial that are never pruned", minimum=0)
    study: str = setting("tune", "name of the study; by default that of the settings file")


@dataclass(frozen=True)
class Range:
    low: float
    high: float
    log: bool = False

    def __contains__(self, value: Value) -> bool:
        return not isinstance(value, str) and self.low <= value <= self.high

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Choices:
    values: tuple[Value, ...]

    def __contains__(self, value: Value) -> bool:
        return value in self.values

    def to_json(self) -> dict[str, object]:
        return {"choices": list(self.values)}


Space = dict[str, Range | Choices]


@dataclass(frozen=True)
class Plan:
    """A search: *params* are the settings that every trial shares, *written* those among them that the user wrote."""

    tune: Tune
    space: Space
    params: Params
    written: Settings

    def settings(self, chosen: Mapping[str, Value]) -> Settings:
        """Every setting of the trial with the searched settings *chosen*.

        The precision "auto" is settled for each trial, as it follows the network; the threads are the same for all.
        A setting that has no effect beside the others of the trial, such as the momentum of adam, has its default.
        """
        precision = self.written.get("train.precision", config.AUTO)
        values = {**cast("Settings", config.flat(self.params)), "train.precision": precision, **chosen}
        return values | idle(values)

    @property
    def first(self) -> Settings:
        """The current values of the searched settings, which are tried first; {} where the space excludes them."""
        current = {name: self.settings({})[name] for name in self.space}
        return current if all(value in self.space[name] for name, value in current.items()) else {}

    def to_json(self) -> dict[str, object]:
        """The plan as `from_json` reads it, in another process."""
        space = {name: span.to_json() for name, span in self.space.items()}
        return {"tune": asdict(self.tune), "space": space, "settings": self.settings({}), "written": self.written}


def idle(values: Settings) -> Settings:
    """The settings of train among *values* that have no effect beside the others, with their defaults."""
    settings = without_effect(Train, config.section(values, "train"))
    return {f"train.{f.name}": cast("Value", f.default) for f, _ in settings}


def from_json(content: Mapping[str, Any]) -> Plan:
    space = {name: _span(entry, _kind(name)) for name, entry in content["space"].items()}
    return Plan(Tune(**content["tune"]), space, config.complete(content["settings"]), content["written"])


def plan(file: str, overrides: Iterable[str], options: Mapping[str, Value | None], load: Callable[[], Params]) -> Plan:
    """The search that the settings file *file* describes; *options* are entries of [tune] from the command line.

    *load* gives the settings that all trials share. Raises ConfigError with every problem of both.
    """
    if not file:
        raise ConfigError("tune needs a settings file with a section [tune.space]; name it by --config FILE")
    entries = dict(config.document(file).get("tune", {}))
    ranges = entries.pop("space", {})
    overrides = list(overrides)
    chosen = {name: value for name, value in options.items() if value is not None}
    tune, problems = _tune({"study": Path(file).stem, **entries, **chosen})
    space, space_problems = _space(ranges)
    problems += [*space_problems, *_set_twice(space, overrides)]
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


def _set_twice(space: Space, overrides: Iterable[str]) -> list[str]:
    return [
        f"{name} is searched, and set to {value!r} by --set or the environment too; remove one of the two"
        for name, value in config.layers("", overrides)
        if name in space
    ]


def _written(file: str, overrides: Iterable[str]) -> Settings:
    """What users wrote, without where this machine keeps its data."""
    environment = {name: text for name, text in os.environ.items() if name not in config.FROM_ENVIRONMENT}
    return cast("Settings", dict(config.layers(file, overrides, environment)))


def _tune(entries: Mapping[str, Any]) -> tuple[Tune, list[str]]:
    known = {f.name: f for f in fields(Tune)}
    problems = [_unknown(name, known) for name in entries if name not in known]
    values = {name: value for name, value in entries.items() if name in known}
    wrong = {name: text for name, value in values.items() if (text := problem(f"tune.{name}", known[name], value))}
    valid = {name: value for name, value in values.items() if name not in wrong}
    study = str(valid.get("study", "tune"))
    if not re.fullmatch(r"\w[\w.-]*", study) or len(os.fsencode(study)) > LONGEST_STUDY:
        wrong["study"] = (
            f"the study is called {shown(study)}; name it with at most {LONGEST_STUDY} letters, digits and _.- by "
            "--study NAME"
        )
    return Tune(**valid), [*problems, *wrong.values()]


def _unknown(name: str, known: Iterable[str]) -> str:
    names = [*known, "space"]
    hint = did_you_mean(name, names, cutoff=0.5) or f"expected one of {', '.join(names)}"
    return f"[tune] has no entry '{name}'; {hint}"


def _space(ranges: Any) -> tuple[Space, list[str]]:
    if not isinstance(ranges, dict) or not ranges:
        return {}, [f"[tune.space] names no setting to search; add one, such as {EXAMPLE}"]
    space, problems = Space(), list[str]()
    for name, entry in _entries(ranges):
        if entry_problems := [*_setting_problems(name)] or [*_entry_problems(name, entry, config.SETTINGS[name])]:
            problems += entry_problems
        else:
            space[name] = _span(entry, _kind(name))
    return space, problems


def _kind(name: str) -> type:
    return type(config.SETTINGS[name].default)


def _span(entry: Mapping[str, Any], kind: type) -> Range | Choices:
    if "choices" in entry:
        return Choices(tuple(kind(value) for value in entry["choices"]))
    return Range(kind(entry["low"]), kind(entry["high"]), entry.get("log", False))


def _entries(ranges: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(setting, entry): TOML reads an unquoted train.dropout as an entry dropout of a table train."""
    for name, entry in ranges.items():
        if name in SECTIONS and isinstance(entry, dict):
            yield from ((f"{name}.{short}", inner) for short, inner in entry.items())
        else:
            yield name, entry


def _setting_problems(name: str) -> Iterator[str]:
    """Why *name* cannot be searched."""
    section = name.partition(".")[0]
    if name not in config.SETTINGS:
        yield f"tune.space: {config.unknown(name)}"
    elif name == "train.seed":
        yield "tune.space names train.seed, and a search over seeds keeps the luckiest; remove it"
    elif name == "train.threads":
        yield "tune.space names train.threads, which changes the speed and the last bits of every sum; remove it"
    elif section == "normalize" or name == "ingest.test_share":
        yield f"tune.space names {name}, which selects the validation images: trials would not compare; remove it"
    elif section != "train" and name not in IMAGE_SETTINGS:
        yield (
            f"tune.space names {name}, which does not affect training; expected a setting of train, "
            f"{' or '.join(IMAGE_SETTINGS)}"
        )


def _entry_problems(name: str, entry: Any, spec: "Field[Any]") -> Iterator[str]:
    """What is wrong with the range or the choices of the setting *name*."""
    kinds = ({"low", "high"}, {"low", "high", "log"}, {"choices"})
    if not isinstance(entry, dict) or set(entry) not in kinds:
        yield f"tune.space: {name} is {shown(entry)}; expected {EXPECTED}"
    elif "choices" in entry:
        yield from _choices_problems(name, entry["choices"], spec)
    else:
        yield from _range_problems(name, entry["low"], entry["high"], entry.get("log", False), spec)


def _choices_problems(name: str, values: Any, spec: "Field[Any]") -> Iterator[str]:
    listed = values if isinstance(values, list) else []
    wrong = [text for value in listed if (text := problem(name, spec, value))]
    if wrong:
        yield from (f"tune.space: {text}" for text in wrong)
    elif len({repr(value) for value in listed}) < max(2, len(listed)):
        yield f"tune.space: the choices of {name} are {shown(values)}; expected a list of two or more different values"


def _range_problems(name: str, low: Any, high: Any, log: Any, spec: "Field[Any]") -> Iterator[str]:
    if type(spec.default) not in (int, float) or spec.metadata["choices"]:
        yield f"tune.space: {name} takes no range; list its values as {{choices = [...]}}"
        return
    wrong = [text for value in (low, high) if (text := problem(name, spec, value))]
    yield from (f"tune.space: {text}" for text in wrong)
    if not isinstance(log, bool):
        yield f"tune.space: log of {name} is {shown(log)}; expected true or false"
    elif not wrong and low >= high:
        yield f"tune.space: {name} has low = {low} and high = {high}; expected low below high"
    elif not wrong and log and low <= 0:
        yield f"tune.space: {name} has low = {low} on a logarithmic scale; set low above 0, or remove log"
