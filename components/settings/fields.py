"""How a setting is declared, with its default, help text and bounds; and the base class of a section."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any

from components.errors import ConfigError


@dataclass(frozen=True)
class OnlyWith:
    """The other setting of the section that a setting needs to have an effect.

    *name* has to have one of *values*, or to name one in its comma-separated list; without *values*, any value but its
    default. *example* is what a message proposes.
    """

    name: str
    example: object
    values: tuple[object, ...] = ()

    def holds(self, value: object, default: object) -> bool:
        """Whether *value* of the other setting, by default *default*, is one that the setting needs."""
        if not self.values:
            return value != default
        listed = [word.strip() for word in value.split(",")] if isinstance(value, str) else [value]
        return any(entry in self.values for entry in listed)


def setting(
    default: object,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[object, ...] | None = None,
    spelling: Callable[[str], str] | None = None,
    in_key: bool = True,
    only_with: OnlyWith | None = None,
) -> Any:
    """A dataclass field with bounds; `in_key=False` keeps it out of the artifact's key (it cannot change the bytes).

    *spelling* returns the canonical spelling of a text that can be written in several ways, and raises ValueError with
    what is wrong with it. Without what *only_with* says, another value than the default is refused.
    """
    bounds = {"help": help, "minimum": minimum, "maximum": maximum, "choices": choices}
    return field(default=default, metadata=bounds | {"spelling": spelling, "in_key": in_key, "only_with": only_with})


LARGEST = 2**63 - 1  # of a whole number without a maximum of its own: JSON, NumPy and MLflow take no larger one
SHOWN = 100  # characters
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def variable(name: str) -> str:
    """The environment variable of the setting *name*: PIPELINE_TRAIN_EPOCHS for train.epochs."""
    return f"PIPELINE_{name.upper().replace('.', '_')}"


def parsed(spec: "Field[Any]", text: str) -> object:
    """*text* as the type of the setting *spec*; the text itself where it is not of that type, for the error message."""
    kind: type = type(spec.default)
    if kind is bool:
        return WORDS.get(text.lower(), text)
    try:
        return kind(text)
    except ValueError:
        return text


def problem(name: str, spec: "Field[Any]", value: Any) -> str | None:
    """What is wrong with *value* for the setting *name* ("train.epochs"), as a sentence; None where it is valid."""
    kind: type = type(spec.default)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not (isinstance(value, kind) if kind in (bool, str) else whole or (kind is float and isinstance(value, float))):
        return f"{name} is {shown(value)}; expected {KINDS[kind]}, such as {spec.default!r}"
    choices = spec.metadata["choices"]
    if choices and value not in choices:
        return f"{name} is {shown(value)}; expected one of {', '.join(map(str, choices))}"
    if kind in (int, float) and (expected := _expected(spec, value)):
        return f"{name} is {shown(value)}; expected {expected}"
    if spelling := spec.metadata["spelling"]:
        try:
            spelling(value)
        except ValueError as error:
            return f"{name} is {shown(value)}; {error}"
    return None


def _expected(spec: "Field[Any]", value: float) -> str:
    """The bounds that the number *value* is not within, "" where it is within them."""
    low, high = spec.metadata["minimum"], spec.metadata["maximum"]
    in_bounds = value <= (LARGEST if high is None else high) and (low is None or value >= low)
    if in_bounds and (isinstance(value, int) or math.isfinite(value)):
        return ""
    largest = f" and at most {LARGEST}" if high is None and value > LARGEST and value != math.inf else ""
    span = f"at least {low}{largest}" if high is None else f"{low} to {high}"
    return span + (f" (did you mean {value / 100:g}?)" if high == 1 and 1 < value <= 100 else "")


def shown(value: object) -> str:
    """*value* as a message shows it, cut where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return "too long to be shown"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


@dataclass(frozen=True)
class Section:
    """A stage's settings; raises ConfigError with every problem when it is created."""

    def __post_init__(self) -> None:
        section = type(self).__name__.lower()
        problems = [problem(f"{section}.{f.name}", f, getattr(self, f.name)) for f in fields(self)]
        if texts := [text for text in problems if text] or [*self.conflicts(), *self._without_effect()]:
            raise ConfigError(*texts)
        for f in fields(self):
            if isinstance(f.default, float):  # 1 and 1.0 are the same setting, so they must give the same key
                object.__setattr__(self, f.name, float(getattr(self, f.name)))
            if spelling := f.metadata["spelling"]:
                object.__setattr__(self, f.name, spelling(getattr(self, f.name)))

    def conflicts(self) -> list[str]:
        """What is wrong with a combination of settings, each valid alone; a sentence each."""
        return []

    def _without_effect(self) -> list[str]:
        """The settings that were changed and do nothing beside the others; a sentence each."""
        section = type(self).__name__.lower()
        return [
            f"{section}.{f.name} is {getattr(self, f.name)}, which has an effect only with a setting such as --set "
            f"{section}.{other.name}={other.example}; add it, or leave {section}.{f.name} at {f.default}"
            for f, other in without_effect(type(self), vars(self))
        ]


def without_effect(section: type[Section], values: Mapping[str, object]) -> Iterator[tuple["Field[Any]", OnlyWith]]:
    """The settings among *values*, by their names in *section*, that differ from their defaults and do nothing."""
    defaults = {f.name: f.default for f in fields(section)}
    values = {**defaults, **values}
    for f in fields(section):
        other: OnlyWith | None = f.metadata["only_with"]
        changed = values[f.name] != f.default
        if changed and other and not other.holds(values[other.name], defaults[other.name]):
            yield f, other
