"""Backbones: the images as their ImageNet weights expect them, and the weights as keras.applications keeps them."""

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from components.errors import ConfigError
from components.models import backbones, build
from components.models.catalog import check, imagenet_file, module_of
from components.models.config import ModelConfig
from components.settings.sections import MODELS, Train
from components.train.weights import initialize

BACKBONES = [name for name in MODELS if imagenet_file(name)]
APPLICATIONS = {"mobilenet_v2_backbone": "MobileNetV2", "efficientnet_v2_b0": "EfficientNetV2B0"}


class Asked(Exception):
    """What Keras wanted to download."""


@pytest.mark.parametrize("name", BACKBONES)
def test_the_file_is_the_one_that_keras_loads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name, address and hash, as keras.applications asks for them."""
    import keras

    def get_file(*arguments: str, cache_subdir: str, file_hash: str = "") -> None:
        raise Asked(*arguments, cache_subdir, file_hash)

    application = getattr(keras.applications, APPLICATIONS[name])
    monkeypatch.setattr(f"{application.__module__}.file_utils.get_file", get_file)
    with pytest.raises(Asked) as asked:
        application(include_top=False, input_shape=(224, 224, 3))
    file = imagenet_file(name)
    assert file
    assert asked.value.args == (file.name, file.url, "models", file.md5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", BACKBONES)
def test_the_preprocessing_is_that_of_the_weights(name: str, channels: int) -> None:
    """It undoes the scaling by the images' own mean and deviation; grey images become colour images."""
    import keras

    wanted = import_module(module_of(name)).PREPROCESSING
    mean, std = [0.1, 0.5, 0.9][:channels], [0.3, 0.0, 0.2][:channels]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "_blocks", lambda _, config: backbones.backbone(config, _identity, wanted)[:-3])
        model = build.build(name, ModelConfig((48, 48, channels), 2), mean=mean, std=std)
    before_softmax = keras.Model(model.input, model.get_layer("preprocessing").output)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 48, 48, channels)).astype(np.uint8)
    colours = np.broadcast_to(pixels, (2, 48, 48, 3)) / 255
    expected = (colours - np.array(wanted.mean)) / np.array(wanted.std)
    np.testing.assert_allclose(before_softmax(pixels), expected, atol=1e-5)


def _identity(images: Any) -> Any:
    """A network without layers."""
    return SimpleNamespace(output=images, layers=[])


def test_a_file_of_keras_applications_is_loaded(tmp_path: Path) -> None:
    """Every layer of the backbone takes its weights, the head is new; the file has the format of Keras' own files."""
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    name = "mobilenet_v2_backbone"
    network = import_module(module_of(name))._network(None, input_shape=(224, 224, 3))
    network.set_weights([np.full_like(weight, 0.25) for weight in network.get_weights()])
    with h5py.File(tmp_path / "weights_no_top.h5", "w") as file:
        save_weights_to_hdf5_group(file, network)
    model = build.build(name, ModelConfig((8, 8, 1), 3), mean=[0.5], std=[0.2])
    initialized = initialize(model, tmp_path / "weights_no_top.h5", Train(model=name, weights="imagenet"), [*"abc"])
    assert initialized.total - len(initialized.layers) == 1
    for layer in initialized.layers:
        assert all((weight == 0.25).all() for weight in layer.get_weights())


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """With the setting, and what to do."""
    (tmp_path / "weights_no_top.h5").write_bytes(b"no HDF5")
    model = build.build("dense", ModelConfig((8, 8, 1), 3), mean=[0.5], std=[0.2])
    params = Train(model="mobilenet_v2_backbone", weights="imagenet")
    with pytest.raises(ConfigError, match=r"train.weights is imagenet: .*weights_no_top.h5 cannot be read"):
        initialize(model, tmp_path / "weights_no_top.h5", params, [*"abc"])


def test_imagenet_weights_are_refused_for_a_network_without_them() -> None:
    """With the networks that have some."""
    with pytest.raises(ConfigError, match=r"none for train.model=mobilenet_v2; set train.model=efficientnet_v2_b0 or"):
        check("mobilenet_v2", Train(model="mobilenet_v2", weights="imagenet"))
    for name in BACKBONES:
        check(name, Train(model=name, weights="imagenet"))
