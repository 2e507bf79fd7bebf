"""How a setting is declared, with its default, help text and bounds; and the base class of a section."""

import math
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from typing import Any

from components.errors import ConfigError


def setting(
    default: object,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[object, ...] | None = None,
    spelling: Callable[[str], str] | None = None,
    in_key: bool = True,
) -> Any:
    """A dataclass field with bounds; `in_key=False` keeps it out of the artifact's key (it cannot change the bytes).

    *spelling* returns the canonical spelling of a text that can be written in several ways, and raises ValueError with
    what is wrong with it.
    """
    bounds = {"help": help, "minimum": minimum, "maximum": maximum, "choices": choices}
    return field(default=default, metadata=bounds | {"spelling": spelling, "in_key": in_key})


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
        if texts := [text for text in problems if text] or self.conflicts():
            raise ConfigError(*texts)
        for f in fields(self):
            if isinstance(f.default, float):  # 1 and 1.0 are the same setting, so they must give the same key
                object.__setattr__(self, f.name, float(getattr(self, f.name)))
            if spelling := f.metadata["spelling"]:
                object.__setattr__(self, f.name, spelling(getattr(self, f.name)))

    def conflicts(self) -> list[str]:
        """What is wrong with a combination of settings, each valid alone; a sentence each."""
        return []
