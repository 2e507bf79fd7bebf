"""The class names of a registered version without its model: from its tag, or from the artifacts that it came from."""

import json
from pathlib import Path

import pytest

from components.registry import class_names
from components.registry.model_version import ModelVersion
from pipeline import model_classes
from pipeline.store.local import Store
from pipeline.store.recipe import Recipe


def publish(store: Store, stage: str, name: str, classes: list[str]) -> Path:
    recipe: Recipe = {"stage": stage, "code": {}, "params": {}, "inputs": {}, "runtime": {}}
    with store.draft(stage, "0123") as out:
        (out / name).write_text(json.dumps({"classes": classes}))
        return store.publish(out, recipe, {}, {}).path


@pytest.mark.parametrize("stage", model_classes.FILES)
def test_an_old_version_has_its_names_in_the_store(tmp_path: Path, stage: str) -> None:
    """Before versions had a tag of their names: any of the artifacts that hold them will do; the tag goes first."""
    store = Store(tmp_path)
    path = publish(store, stage, model_classes.FILES[stage], ["cat", "dog"])
    keys = {f"{stage}.key": path.name}
    assert model_classes.of_version(ModelVersion("m", "1", tags=keys), store) == ["cat", "dog"]
    tagged = ModelVersion("m", "1", tags=keys | class_names.tag(["ant"]))
    assert model_classes.of_version(tagged, store) == ["ant"]


def test_an_artifact_that_is_damaged_or_gone_tells_nothing(tmp_path: Path) -> None:
    """A wrong name is worse than none: the bytes are verified."""
    store = Store(tmp_path)
    path = publish(store, "normalize", "data.json", ["cat", "dog"])
    version = ModelVersion("m", "1", tags={"normalize.key": path.name, "evaluate.key": "gone"})
    (path / "data.json").write_text(json.dumps({"classes": ["dog", "cat"]}))
    assert model_classes.of_version(version, store) is None
