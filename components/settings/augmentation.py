"""What `train.augment` may say: kinds of augmentation, each with a strength, in one spelling.

    "rotate=10, shift=0.10"   a strength for each
    "rotate,elastic"          the usual strength of each
    "" or "none"              no augmentation

Standard library only, as the settings are; what each kind does to an image is written in
components.data.augmentation.transforms.
"""

import contextlib
import difflib
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
    parts = [] if text.strip() == "none" else text.split(",")
    found, problems = dict[str, float](), list[str]()
    for part in filter(None, map(str.strip, parts)):
        try:
            name, strength = _read(part)
            if name in found:
                raise ValueError(f"{name} stands there twice")
            found[name] = strength
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError(", and ".join(problems))
    return {name: found[name] for name in KINDS if found.get(name)}


def canonical(text: str) -> str:
    """The one spelling of all texts that mean the same, each strength written out: equal meanings give equal keys.

    Raises ValueError as `strengths` does.
    """
    return ",".join(f"{name}={repr(value).removesuffix('.0')}" for name, value in strengths(text).items())


def _read(part: str) -> tuple[str, float]:
    """One kind and its strength, from "zoom=0.2" or "zoom"."""
    name, written, strength = (word.strip() for word in part.partition("="))
    if name not in KINDS:
        near = difflib.get_close_matches(name.lower(), KINDS, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"expected some of {', '.join(KINDS)}"
        raise ValueError(f"no augmentation is called '{name}' ({hint})")
    kind = KINDS[name]
    with contextlib.suppress(ValueError):
        value = float(strength) if written else kind.usual
        if 0 <= value <= kind.most:
            return name, value
    span = f"0 to {kind.most:g} ({kind.unit}), such as {name}={kind.usual:g}"
    raise ValueError(f"{name} is '{strength}', expected {span}")
