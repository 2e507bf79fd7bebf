"""What train.weights names is found, or refused in a sentence, before any image is decoded."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from components.errors import ConfigError
from components.models.catalog import imagenet_file
from components.models.imagenet import ImagenetFile
from components.registry.client import Registry
from components.settings.sections import Params, Train
from pipeline import config, initial_weights
from pipeline.home import Home

BACKBONE = "mobilenet_v2_backbone"


def found(folder: Path, **settings: str) -> initial_weights.InitialWeights | None:
    home = Home(folder)
    params = replace(Params(), train=Train(**settings))  # type: ignore[arg-type]
    return initial_weights.find(params, home, Registry(f"sqlite:///{folder}/mlflow.db"))


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of Keras without files, on a machine without a network."""
    from components.ingest.reading import network

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(network, "why_unreachable", lambda url, seconds: OSError(101, "Network is unreachable"))
    (tmp_path / "keras/models").mkdir(parents=True)
    return tmp_path / "keras"


def test_without_weights_there_is_nothing_to_find(tmp_path: Path) -> None:
    """The default."""
    assert found(tmp_path) is None


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    """The sha256 of what it holds now."""
    file = tmp_path / "mine.keras"
    for content in (b"one", b"two"):
        file.write_bytes(content)
        weights = found(tmp_path, weights=str(file))
        assert weights
        assert (weights.sha256, weights.file()) == (hashlib.sha256(content).hexdigest(), file)


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, kind: str) -> None:
    """With its name and the reason."""
    if kind == "folder":
        (tmp_path / "x.keras").mkdir()
    with pytest.raises(ConfigError, match=r"train.weights is .*x.keras, which cannot be read: (No such|not a)"):
        found(tmp_path, weights=str(tmp_path / "x.keras"))


def test_without_a_network_the_message_says_which_file_belongs_where(tmp_path: Path, keras_home: Path) -> None:
    """Its name, size, address and folder, and its hash where Keras knows one."""
    with pytest.raises(ConfigError) as refused:
        found(tmp_path, model="efficientnet_v2_b0", weights="imagenet")
    url = "https://storage.googleapis.com/tensorflow/keras-applications/efficientnet_v2/efficientnetv2-b0_notop.h5"
    assert str(refused.value) == (
        f"train.weights is imagenet, and {url} cannot be downloaded (Network is unreachable); put "
        f"efficientnetv2-b0_notop.h5 (24,274,472 bytes, md5 893217f2bb855e2983157299931e43ff, from {url}) into "
        f"{keras_home}/models"
    )


@pytest.mark.parametrize("content", ["whole", "torn"])
def test_a_missing_file_is_downloaded_whole_or_not_at_all(
    tmp_path: Path, keras_home: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """Into the folder of Keras; other bytes than Keras' are refused and not kept."""
    from components.ingest.reading import network

    known = ImagenetFile("weights.h5", "net", 5, hashlib.md5(b"whole", usedforsecurity=False).hexdigest())
    monkeypatch.setattr(initial_weights, "imagenet_file", lambda name: known)
    monkeypatch.setattr(network, "why_unreachable", lambda url, seconds: None)
    monkeypatch.setattr(network, "download", lambda url, most: content.encode())
    if content == "whole":
        weights = found(tmp_path, weights="imagenet")
        assert weights
        assert weights.file().read_bytes() == b"whole"
        return
    with pytest.raises(ConfigError, match=r"cannot be downloaded \(the server sent 4 other bytes"):
        found(tmp_path, weights="imagenet")
    assert list((keras_home / "models").iterdir()) == []


def test_a_file_in_the_folder_of_keras_is_used(tmp_path: Path, keras_home: Path) -> None:
    """No network is needed; one that is not whole is refused."""
    known = imagenet_file(BACKBONE)
    assert known
    file = keras_home / "models" / known.name
    with file.open("wb") as target:
        target.truncate(known.size)
    weights = found(tmp_path, model=BACKBONE, weights="imagenet")
    assert weights
    assert weights.file() == file
    file.write_bytes(b"torn")
    with pytest.raises(ConfigError, match=rf"{known.name} has 4 bytes, expected 9,406,464; put {known.name}"):
        found(tmp_path, model=BACKBONE, weights="imagenet")


def test_members_with_different_imagenet_weights_are_refused(tmp_path: Path, keras_home: Path) -> None:
    """A training starts from one file."""
    with pytest.raises(ConfigError, match="names networks with different weights; choose one network for all members"):
        found(tmp_path, weights="imagenet", members=2, member_models=f"{BACKBONE},efficientnet_v2_b0")  # type: ignore[arg-type]


def test_a_version_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    """As for a teacher."""
    with pytest.raises(ConfigError, match=r"train.weights is 'champion', which .* has no version of; its .* are: none"):
        found(tmp_path, weights="champion")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected none, imagenet, FILE.keras, or a registered version such as champion or 3"),
        ("model.h5", "expected a file that ends in .keras"),
        ("a/b", "expected a file that ends in .keras"),
    ],
)
def test_a_text_that_names_no_weights_is_refused(text: str, expected: str) -> None:
    """Before anything runs."""
    with pytest.raises(ConfigError) as refused:
        config.load("", [f"train.weights={text}"], "digits", {})
    assert expected in refused.value.problems[0]
