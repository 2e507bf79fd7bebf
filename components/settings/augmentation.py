"""The text of `train.augment`: kinds of augmentation, each with a strength.

    "rotate=10, shift=0.10"   a strength for each
    "rotate,elastic"          the default strength of each
    "" or "none"              no augmentation
    "auto"                    left open: derived from the images (components.settings.derived)

Saturation and hue change nothing in grey images, which have neither.

Standard library only; components/data/augmentation/transforms.py says what each kind does to an image.
"""

import contextlib
from dataclasses import dataclass

from components.formatting import did_you_mean


@dataclass(frozen=True)
class Kind:
    """The default strength of a kind, the maximum, and its unit."""

    default: float
    maximum: float
    unit: str


AUTO = "auto"
KINDS = {
    "rotate": Kind(10, 180, "degrees"),
    "shift": Kind(0.1, 0.5, "share of the side"),
    "zoom": Kind(0.1, 0.9, "share of the size"),
    "shear": Kind(5, 60, "degrees"),
    "elastic": Kind(1, 5, "pixels at 28x28"),
    "flip_horizontal": Kind(0.5, 0.5, "share of the images"),
    "flip_vertical": Kind(0.5, 0.5, "share of the images"),
    "invert": Kind(0.5, 0.5, "share of the images"),
    "contrast": Kind(0.2, 1, "share of the contrast"),
    "brightness": Kind(0.2, 1, "share of white"),
    "saturation": Kind(0.2, 1, "share of the saturation"),
    "hue": Kind(0.05, 0.5, "share of the circle of colours"),
    "erase": Kind(0.2, 0.9, "share of the area"),
}


COLOUR_ONLY = ("saturation", "hue")


def strengths(text: str) -> dict[str, float]:
    """The kinds that *text* names and how strong each is, in the order of KINDS; without those of strength 0.

    Raises ValueError with everything that is wrong in *text*.
    """
    parts = [] if text.strip() == "none" else text.split(",")
    named, problems = dict[str, float](), list[str]()
    for part in filter(None, map(str.strip, parts)):
        try:
            name, strength = _read(part)
            if name in named:
                raise ValueError(f"{name} is given twice")
            named[name] = strength
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError(", and ".join(problems))
    return {name: named[name] for name in KINDS if named.get(name)}


def without_effect(text: str, channels: int) -> list[str]:
    """The kinds that *text* names and that change nothing in images with so many channels."""
    return [name for name in strengths(text) if channels == 1 and name in COLOUR_ONLY]


def canonical(text: str) -> str:
    """The canonical spelling of *text*, with each strength: texts with the same meaning give the same key.

    Raises ValueError as `strengths` does.
    """
    if text.strip() == AUTO:
        return AUTO
    return ",".join(f"{name}={repr(value).removesuffix('.0')}" for name, value in strengths(text).items())


def _read(part: str) -> tuple[str, float]:
    """One kind and its strength, from "zoom=0.2" or "zoom"."""
    name, written, strength = (word.strip() for word in part.partition("="))
    if name not in KINDS:
        hint = did_you_mean(name.lower(), KINDS, 0.5) or f"expected some of {', '.join(KINDS)}"
        raise ValueError(f"no augmentation is called '{name}' ({hint})")
    kind = KINDS[name]
    with contextlib.suppress(ValueError):
        value = float(strength) if written else kind.default
        if 0 <= value <= kind.maximum:
            return name, value
    span = f"0 to {kind.maximum:g} ({kind.unit}), such as {name}={kind.default:g}"
    raise ValueError(f"{name} is '{strength}', expected {span}")
