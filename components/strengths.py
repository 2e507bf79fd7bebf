"""What `train.augment` may say: kinds of augmentation, each with a strength, in one spelling.

    "rotate=10, shift=0.10"   a strength for each
    "rotate,elastic"          the usual strength of each
    "" or "none"              no augmentation

Standard library only, as the settings are; what each kind does to an image is written in components.augment.
"""

import difflib
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind's strength: the one it has where none is written, the largest that makes sense, and what it counts."""

    usual: float
    most: float
    unit: str


KINDS = {
    "rotate": Kind(10, 180, "degrees"),
    "shift": Kind(0.1, 0.5, "share of the side"),
    "zoom": Kind(0.1, 0.9, "share of the size"),
    "shear": Kind(5, 60, "degrees"),
    "elastic": Kind(1, 5, "pixels at 28x28"),
    "erase": Kind(0.2, 0.9, "share of the area"),
}


def strengths(text: str) -> dict[str, float]:
    """The kinds that *text* names and how strong each is, in the order of KINDS; those of strength 0 are left out.

    Raises ValueError with everything that is wrong in *text*.
    """
    parts = [] if text.strip() == "none" else [part.strip() for part in text.split(",") if part.strip()]
    found, problems = dict[str, float](), list[str]()
    for part in parts:
        name, _, strength = (word.strip() for word in part.partition("="))
        problem = _unknown(name) or _twice(name, found) or _unfit(name, strength, "=" in part)
        if problem:
            problems.append(problem)
        else:
            found[name] = float(strength) if "=" in part else KINDS[name].usual
    if problems:
        raise ValueError(", and ".join(problems))
    return {name: found[name] for name in KINDS if found.get(name)}


def canonical(text: str) -> str:
    """The one spelling of all texts that mean the same, each strength written out: equal meanings give equal keys.

    Raises ValueError as `strengths` does.
    """
    return ",".join(f"{name}={repr(value).removesuffix('.0')}" for name, value in strengths(text).items())


def _unknown(name: str) -> str | None:
    if name in KINDS:
        return None
    near = difflib.get_close_matches(name.lower(), KINDS, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"expected some of {', '.join(KINDS)}"
    return f"no augmentation is called '{name}' ({hint})"


def _twice(name: str, found: dict[str, float]) -> str | None:
    return f"{name} stands there twice" if name in found else None


def _unfit(name: str, strength: str, written: bool) -> str | None:
    """What is wrong with the *strength* of a kind; nothing, where none is *written*."""
    kind = KINDS[name]
    try:
        value = float(strength) if written else kind.usual
    except ValueError:
        value = math.nan
    if 0 <= value <= kind.most:
        return None
    return f"{name} is '{strength}', expected 0 to {kind.most:g} ({kind.unit}), such as {name}={kind.usual:g}"
