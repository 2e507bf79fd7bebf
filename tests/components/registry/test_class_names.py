"""Class names of a registered version: as a tag where they fit, in words in the description."""

import json

import pytest

from components.registry import class_names
from components.registry.model_version import ModelVersion

MANY = [f"a class with quite a long name, number {number}" for number in range(1000)]


@pytest.mark.parametrize("classes", [["cat", "dog"], ["it's", 'a "quote"', "a, b"], ["katze", "käfer", "猫"]])
def test_names_come_back_from_the_tag(classes: list[str]) -> None:
    """Whatever characters they have; they stay readable in MLflow's UI."""
    version = ModelVersion("m", "1", tags=class_names.tag(classes))
    assert class_names.from_tag(version) == classes
    assert "\\u" not in version.tags["classes"]


def test_a_list_that_is_too_long_for_a_tag_has_none() -> None:
    """Nor is it in the description: both would be refused by some database, after the whole training."""
    assert class_names.tag(MANY) == {}
    assert class_names.description(MANY) == "returns float32 probabilities of 1,000 classes."
    assert len(json.dumps(MANY)) > class_names.TAG_CHARACTERS


@pytest.mark.parametrize("text", ["", "cat, dog", "[]", "{}", '["cat", 7]', "[" * 5000])
def test_a_tag_that_is_no_list_of_names_tells_nothing(text: str) -> None:
    """A person may write anything into it in MLflow's UI."""
    assert class_names.from_tag(ModelVersion("m", "1", tags={"classes": text})) is None
    assert class_names.from_tag(ModelVersion("m", "1")) is None
