"""Numbers, sizes and names as a person says them in a sentence or a table."""

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


def percent(share: float, digits: int = 2) -> str:
    """A share of 1 in percent, without the sign: 0.98765 is "98.77"."""
    return f"{100 * share:.{digits}f}"


def thousands(number: int) -> str:
    return f"{number:,}"


def size(count: int) -> str:
    """Bytes: 1.6 MB."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB" if count >= 1e3 else f"{count} bytes"


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
            return f"{percent(value)} %" if key.endswith("accuracy") else _short(value)
        case dict():
            return ", ".join(f"{label(str(name))} {plain(inner, str(name))}" for name, inner in value.items()) or "none"
        case list() | tuple():
            return ", ".join(plain(inner, key) for inner in value) or "none"
        case _:
            return "none" if value in (None, "") else str(value)


def _short(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
