"""What the images are expected to be: inferred from the first data, kept as a file to edit, pinned by validate.schema.

{
  "version": 1,
  "classes": ["0", "1", ...],                the names, in the order of their numbers
  "shape": [28, 28, 1],                      height, width, channels of every image
  "dtype": "uint8",
  "min_images": {"test": 5000, ...},         fewest images per split; inferred: half of what there was
  "class_shares": {"0": 0.0987, ...}         share of the training images, to hold to within
}                                            validate.max_class_share_change; or [low, high], bounds of its own
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.errors import ConfigError

VERSION = 1
DTYPE = "uint8"

Share = float | list[float]


@dataclass(frozen=True)
class Schema:
    """The content of a schema file."""

    version: int
    classes: list[str]
    shape: list[int]
    dtype: str
    min_images: dict[str, int]
    class_shares: dict[str, Share]


EXPECTED = {
    "version": f"{VERSION}, the version that this pipeline reads",
    "classes": "a list of at least two different names",
    "shape": "[height, width, channels], whole numbers above 0 with 1 or 3 channels",
    "dtype": f'"{DTYPE}", the only one that the pipeline takes',
    "min_images": 'whole numbers by split, such as {"train": 100, "test": 20}',
    "class_shares": "for each class a share between 0 and 1, or [low, high]",
}


def infer(statistics: dict[str, Any]) -> Schema:
    """The schema that the training images of *statistics* (see components.data.statistics) keep to."""
    splits = statistics["splits"]
    counts = splits["train"]["histogram"] or []
    total = sum(counts)
    shares: dict[str, Share] = {
        name: round(count / total, 6)
        for name, count in zip(statistics["classes"], counts, strict=bool(counts))
        if total
    }
    fewest = {name: split["images"] // 2 for name, split in splits.items()}
    return Schema(VERSION, statistics["classes"], statistics["shape"], DTYPE, fewest, shares)


def write(schema: Schema, path: Path) -> None:
    path.write_text(json.dumps(asdict(schema), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read(path: Path) -> Schema:
    """The schema in the file *path*; raises ConfigError with every problem found in it."""
    content = _load(path)
    unknown = [
        f"{path}: no entry of a schema is called {key!r}{_suggest(key)}" for key in content if key not in EXPECTED
    ]
    wrong = [
        f"{path}: {key} is {_short(content[key])}; expected {expected}"
        if key in content
        else f"{path}: {key} is missing; expected {expected}"
        for key, expected in EXPECTED.items()
        if key not in content or not _right(key, content[key], content)
    ]
    if unknown or wrong:
        raise ConfigError(*unknown, *wrong)
    return Schema(**content)


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"validate.schema is {str(path)!r}, which cannot be read ({error.strerror}); expected the path of a schema "
            "file, such as a copy of schema.json out of an artifact of validate"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path}: this is no JSON ({error}); expected a schema, see components/validate/schema.py"
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path}: the file holds {_short(content)}; expected a JSON object with {', '.join(EXPECTED)}"
        )
    return content


def _right(key: str, value: Any, content: dict[str, Any]) -> bool:
    match key:
        case "version":
            return _whole(value) and value == VERSION
        case "classes":
            return _names(value) and len(set(value)) == len(value) > 1
        case "shape":
            return isinstance(value, list) and all(map(_whole, value)) and len(value) == 3 and _fits(value)
        case "dtype":
            return bool(value == DTYPE)
        case "min_images":
            return isinstance(value, dict) and set(value) <= {"train", "test"} and all(map(_whole, value.values()))
        case _:
            classes = content.get("classes")
            if not isinstance(value, dict) or not all(map(_share, value.values())):
                return False
            return not _right("classes", classes, content) or set(value) == set(classes or ())


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _fits(shape: list[int]) -> bool:
    return min(shape) > 0 and shape[2] in (1, 3)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _share(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) == 2 and all(map(_number, value)) and value[0] <= value[1]
    return _number(value)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _suggest(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, EXPECTED, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; expected {', '.join(EXPECTED)}"
