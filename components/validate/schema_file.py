"""Read a schema file that a user wrote (layout: components/validate/schema.py). Loaded only where one is set."""

import codecs
import json
from pathlib import Path
from typing import Annotated, Literal, get_type_hints

import msgspec
from msgspec import Meta

from components.artifact_files import SchemaFile
from components.errors import ConfigError
from components.formatting import did_you_mean

Content = dict[str, object]
Side = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Bounds = Annotated[
    list[Share], Meta(min_length=2, max_length=2)
]  # msgspec 0.22 crashes on `Share | tuple[Share, Share]`


class Entries(msgspec.Struct):
    """The type of each entry, and what a message says is expected; what types cannot say is in `_valid`."""

    version: Annotated[Literal[1], Meta(description="1, the version that this pipeline reads")]
    classes: Annotated[list[str], Meta(min_length=2, description="a list of at least two different names")]
    shape: Annotated[
        tuple[Side, Side, Literal[1, 3]],
        Meta(description="[height, width, channels], whole numbers above 0 with 1 or 3 channels"),
    ]
    dtype: Annotated[Literal["uint8"], Meta(description='"uint8", the only one that the pipeline reads')]
    min_images: Annotated[
        dict[Literal["train", "test"], Count],
        Meta(description='whole numbers by split, such as {"train": 100, "test": 20}'),
    ]
    class_shares: Annotated[
        dict[str, Share | Bounds],
        Meta(description="for each class a share between 0 and 1, or [low, high]"),
    ]


TYPES = get_type_hints(Entries, include_extras=True)
EXPECTED: dict[str, str] = {name: kind.__metadata__[0].description for name, kind in TYPES.items()}


def read(path: Path) -> SchemaFile:
    """The schema in the file *path*; raises ConfigError with every problem in it."""
    content = _load(path)
    problems = [
        f"{path}: a schema has no entry {key!r}; {did_you_mean(key, EXPECTED) or 'expected ' + ', '.join(EXPECTED)}"
        for key in content
        if key not in EXPECTED
    ]
    for key, expected in EXPECTED.items():
        if key not in content:
            problems.append(f"{path}: {key} is missing; expected {expected}")
        elif not _valid(key, content):
            problems.append(f"{path}: {key} is {_short(content[key])}; expected {expected}")
    if problems:
        raise ConfigError(*problems)
    schema: SchemaFile = msgspec.convert(content, SchemaFile)
    return schema


def _load(path: Path) -> Content:
    try:
        content = msgspec.json.decode(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except OSError as error:
        raise ConfigError(
            f"validate.schema is {str(path)!r}, which cannot be read ({error.strerror}); expected the path of a schema "
            "file, such as a copy of schema.json from an artifact of validate"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON ({error}); expected a schema, see docs/sources.md") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds {_short(content)}; expected a JSON object with {', '.join(EXPECTED)}")
    return content


def _valid(key: str, content: Content) -> bool:
    try:
        value = msgspec.convert(content.get(key), TYPES[key])
    except msgspec.ValidationError:
        return False
    if key == "classes":
        return len(set(value)) == len(value)
    if key == "class_shares":
        ordered = all(share[0] <= share[1] for share in value.values() if isinstance(share, list))
        return ordered and (not _valid("classes", content) or sorted(value) == sorted(_classes(content)))
    return True


def _classes(content: Content) -> list[str]:
    return msgspec.convert(content["classes"], list[str])


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
