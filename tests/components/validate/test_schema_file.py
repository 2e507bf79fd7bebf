"""A schema file: inferred, pinned, and refused with every problem in it."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.errors import ConfigError
from components.findings import errors
from components.settings.sections import Validate
from components.validate.schema_file import read
from tests.support.ingested_images import CLASSES, checked, ingested, random_images, validated


def pinned(folder: Path, **changes: Any) -> Validate:
    """Settings with a pinned schema: the one inferred from sound images, with *changes*."""
    out = validated(folder / "first", ingested(folder / "first" / "in", random_images(300), random_images(90, seed=1)))
    content = json.loads((out / "schema.json").read_text(encoding="utf-8")) | changes
    path = folder / "pinned.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return Validate(schema=str(path))


def test_inferred_schema_can_be_pinned(tmp_path: Path) -> None:
    """The schema that was written, pinned unchanged, describes the images and has no finding for them."""
    params = pinned(tmp_path)
    assert read(Path(params.schema)) == {
        "version": 1, "classes": CLASSES, "shape": [6, 5, 1], "dtype": "uint8",
        "min_images": {"train": 150, "test": 45}, "class_shares": dict.fromkeys(CLASSES, 0.333333),
    }  # fmt: skip
    assert checked(tmp_path, random_images(300), random_images(90, seed=1), params) == []


def test_a_schema_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """As editors on Windows save it."""
    path = Path(pinned(tmp_path).schema)
    schema = read(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(path) == schema


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"class_shares": {"c0": 0.2, "c1": 0.4, "c2": 0.4}},
            "train: class shares off the schema: 'c0' is 33.3 %, expected 15",
        ),
        (
            {"class_shares": {"c0": 0.3, "c1": [0, 0.3], "c2": 0.3}},
            "train: class shares off the schema: 'c1' is 33.3 %",
        ),
        ({"min_images": {"test": 91}}, "test: 90 images; expected at least 91 (the schema)"),
        (
            {"shape": [6, 5, 3]},
            "train: 300 images, from image 0 on, of uint8 and shape (6, 5, 1); expected uint8 and (6, 5, 3)",
        ),
        (
            {"classes": ["c1", "c0", "c2"]},
            "the classes are 'c0', 'c1', 'c2'; the schema expects 'c1', 'c0', 'c2', in this order",
        ),
    ],
)
def test_deviations_from_the_pinned_schema_are_errors(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    """Every deviation from the pinned schema is an error."""
    messages = errors(checked(tmp_path, random_images(300), random_images(90, seed=1), pinned(tmp_path, **changes)))
    assert any(line.startswith(text) for line in messages)


def test_explicit_bounds_in_the_schema_apply(tmp_path: Path) -> None:
    """A class with explicit bounds is checked against them, not against validate.max_class_share_change."""
    params = pinned(tmp_path, class_shares={"c0": [0.1, 0.9], "c1": [0, 1], "c2": 0.3})
    assert checked(tmp_path, random_images(300), random_images(90, seed=1), params) == []


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "which cannot be read (No such file or directory); expected the path of a schema"),
        ("{", "is not JSON"),
        ("[1]", "holds [1]; expected a JSON object with version, classes"),
        ({"version": 2}, "version is 2; expected 1, the version that this pipeline reads"),
        ({"classes": ["a", "a"]}, 'classes is ["a", "a"]; expected a list of at least two different names'),
        ({"shape": [28, 28]}, "shape is [28, 28]; expected [height, width, channels]"),
        ({"shape": [28, 28, 2]}, "shape is [28, 28, 2]; expected"),
        ({"dtype": "float32"}, 'dtype is "float32"; expected "uint8"'),
        ({"min_images": {"training": 3}}, 'min_images is {"training": 3}; expected'),
        ({"class_shares": {"c0": 33, "c1": 33, "c2": 33}}, 'class_shares is {"c0": 33, "c1": 33, "c2": 33}; expected'),
        ({"class_shares": 3, "version": 1}, "class_shares is 3; expected for each class"),
        ({"class_shares": {"c0": 0.5}}, 'class_shares is {"c0": 0.5}; expected for each class'),
        ({"class_shares": {"c0": [0.5, 0.2], "c1": 0.3, "c2": 0.3}}, "class_shares is"),
        ({"clases": 1}, "a schema has no entry 'clases'; did you mean 'classes'?"),
    ],
)
def test_broken_schema_is_a_wrong_setting(tmp_path: Path, content: Any, text: str) -> None:
    """A schema that is missing, not JSON, or wrong in an entry is a ConfigError that names the file and the entry."""
    params = pinned(tmp_path, **(content if isinstance(content, dict) else {}))
    if content is None:
        Path(params.schema).unlink()
    elif isinstance(content, str):
        Path(params.schema).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        checked(tmp_path, random_images(300), random_images(90, seed=1), params)
    assert text in str(caught.value)
    assert params.schema in str(caught.value)
    assert len(caught.value.problems) == 1
