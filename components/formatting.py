"""Numbers, sizes, durations and names as they stand in a sentence or a table."""

import difflib
from collections.abc import Iterable
from typing import Any

ACRONYMS = {
    "int8": "int8",
    "keras": "Keras",
    "macs": "multiply-accumulates per image",
    "macs_by_type": "of these, by type of operation",
    "p": "p",
    "saved_model": "SavedModel",
    "tflite": "TFLite",
    "weight_bytes": "weights in float32",
}


def points(share: float, digits: int = 2) -> str:
    """A share of 1 in percent, without the sign, for tables and intervals: 0.98765 is "98.77"."""
    return f"{100 * share:.{digits}f}"


def percent(share: float, digits: int = 2) -> str:
    """A measured share of 1 in percent: 0.98765 is "98.77 %"."""
    return f"{points(share, digits)} %"


def bound(share: float) -> str:
    """A share of 1 that a setting gives, in percent with no digit more than it needs: 0.98 is "98 %"."""
    return f"{100 * share:.6g} %"


def percentage_points(difference: float) -> str:
    """A difference of two shares of 1, never rounded to nothing: 0.0069 is "0.69 points", 0.000001 "0.0001 points"."""
    return f"{points(difference)} points" if difference >= 0.0001 else f"{100 * difference:.1g} points"


def thousands(number: int) -> str:
    return f"{number:,}"


def size(count: int) -> str:
    """Bytes: 1.6 MB."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB" if count >= 1e3 else f"{count} bytes"


def duration(seconds: float) -> str:
    """6.7 s, or 2 min 05 s."""
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60):02} s"


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """ "did you mean 'train.epochs'?" for the name in *known* that is closest to *name*; "" where none is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"did you mean {close[0]!r}?" if close else ""


def label(key: str) -> str:
    """The key of a JSON entry as the head of a row: "best_epoch" is "best epoch"."""
    return ACRONYMS.get(key, key.replace("_", " "))


def sentence(text: str) -> str:
    """The text of a finding with a capital first, unless it begins with a name such as model.tflite or train.epochs."""
    first = text.split(" ", 1)[0].rstrip(",:")
    return text[:1].upper() + text[1:] if first.isalpha() else text


def plain(value: Any, key: str = "") -> str:
    """A value of a JSON file, by what *key* says it is: shares in percent, bytes as a size, floats shortened."""
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return size(value) if key.endswith("bytes") else thousands(value)
        case float():
            return percent(value) if key.endswith("accuracy") else _short(value)
        case dict():
            return ", ".join(f"{label(str(name))} {plain(inner, str(name))}" for name, inner in value.items()) or "none"
        case list() | tuple():
            return ", ".join(plain(inner, key) for inner in value) or "none"
        case _:
            return "none" if value in (None, "") else str(value)


def _short(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
