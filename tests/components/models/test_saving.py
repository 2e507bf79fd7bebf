"""The saved model: the names of its classes are inside."""

import zipfile
from pathlib import Path
from typing import Any

import pytest

from components.errors import ArtifactCorrupt
from components.models.saving import read_classes, read_model, write_model
from components.system.tensorflow import tensorflow


@pytest.fixture(scope="module")
def model() -> Any:
    tensorflow()
    import keras

    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="softmax")])


def test_equal_weights_with_other_classes_are_another_model(model: Any, tmp_path: Path) -> None:
    """What a probability means is part of the model: the bytes differ, the names come back, Keras reads the file."""
    files = [tmp_path / name for name in ("pets", "again", "renamed")]
    for file, classes in zip(files, (["cat", "dog"], ["cat", "dog"], ["chat", "chien"]), strict=True):
        write_model(model, file.with_suffix(".keras"), classes)
    pets, again, renamed = (file.with_suffix(".keras") for file in files)
    assert pets.read_bytes() == again.read_bytes() != renamed.read_bytes()
    assert (read_classes(pets), read_classes(renamed)) == (["cat", "dog"], ["chat", "chien"])
    assert read_model(renamed).output_shape == (None, 2)


def test_a_file_without_class_names_has_none(model: Any, tmp_path: Path) -> None:
    """As Keras itself writes it; anything but a list of names is none either."""
    model.save(tmp_path / "model.keras")
    assert read_classes(tmp_path / "model.keras") is None
    for number, metadata in enumerate(("[]", '{"classes": "cat"}', '{"classes": [1, 2]}')):
        with zipfile.ZipFile(tmp_path / str(number), "w") as archive:
            archive.writestr("metadata.json", metadata)
        assert read_classes(tmp_path / str(number)) is None


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_damaged_file_is_told(tmp_path: Path, content: bytes | None) -> None:
    """As `read_model` tells it."""
    file = tmp_path / "model.keras"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ArtifactCorrupt, match="cannot be read as a Keras model"):
        read_classes(file)
