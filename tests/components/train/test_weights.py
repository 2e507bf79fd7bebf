"""Weights to start from: what fits is taken, frozen epochs keep it, and a resumed training gives the same bytes."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from components.errors import ConfigError
from components.models.saving import read_model, write_model
from components.settings.sections import Train
from components.train import checkpoint
from components.train.network import untrained_network
from components.train.phases import Phase, applied, described, phases
from components.train.stage import train
from components.train.weights import Initialized, initialize
from tests.support.small_training import SMALL, digests, folders, history, interrupted, run, write_normalized

NETWORK: dict[str, Any] = {"model": "cnn_bn", "width": 0.25, "depth": 1, "dropout": 0.0, "augment": "shift=0.1"}


@pytest.fixture(scope="module")
def normalized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_normalized(tmp_path_factory.mktemp("normalize"))


@pytest.fixture(scope="module")
def pretrained(normalized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network trained on the four classes."""
    folder = tmp_path_factory.mktemp("pretrained")
    run(normalized, folder, **NETWORK, epochs=3)
    return folder / "out/model.keras"


@pytest.fixture(scope="module")
def other_classes(normalized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same images with a fifth class, so that the last layer of a network on the four does not fit."""
    folder = tmp_path_factory.mktemp("other") / "normalize"
    shutil.copytree(normalized, folder)
    data = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps(data | {"classes": [*data["classes"], "e"]}))
    return folder


def transfer(normalized: Path, folder: Path, weights: Path, **settings: Any) -> dict[str, Any]:
    """Train from *weights* into *folder*."""
    params = Train(**(SMALL | NETWORK | {"weights": str(weights), "schedule": "plateau"} | settings))
    return train(normalized, *folders(folder), params=params, weights=weights)


def weights_of(model: Path) -> dict[str, list[NDArray[np.float32]]]:
    """The weights of each layer."""
    return {layer.name: layer.get_weights() for layer in read_model(model).layers if layer.weights}


def test_layers_that_fit_take_the_weights_and_the_rest_is_new(
    other_classes: Path, pretrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After frozen epochs alone, every layer but the last is as it was, statistics of batch normalisation included."""
    transfer(other_classes, tmp_path, pretrained, epochs=2, frozen_epochs=2)
    assert "4 of 5 layers; 1 new; epochs 1 to 2 train these alone" in capsys.readouterr().err
    before, after = weights_of(pretrained), weights_of(tmp_path / "out/model.keras")
    assert [name for name in after if [w.shape for w in after[name]] != [w.shape for w in before[name]]] == ["logits"]
    for name in before.keys() - {"logits"}:
        for old, new in zip(before[name], after[name], strict=True):
            np.testing.assert_array_equal(old, new)


def test_fine_tuning_trains_every_layer_at_a_lower_rate(other_classes: Path, pretrained: Path, tmp_path: Path) -> None:
    """The rate falls after the frozen epochs, and no layer stays as it was."""
    transfer(other_classes, tmp_path, pretrained, epochs=4, frozen_epochs=2, finetune_rate=0.5, schedule="constant")
    assert [row["learning_rate"] for row in history(tmp_path)] == pytest.approx([0.01, 0.01, 0.005, 0.005])
    before, after = weights_of(pretrained), weights_of(tmp_path / "out/model.keras")
    for name in before.keys() - {"logits"}:
        assert all((old != new).any() for old, new in zip(before[name], after[name], strict=True))


def test_a_network_that_takes_all_weights_has_no_frozen_epochs(
    normalized: Path, pretrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no new layer to train alone; it begins where the other one ended."""
    transfer(normalized, tmp_path, pretrained, epochs=1)
    err = capsys.readouterr().err
    assert "; epochs 1 to 1 train all, at 0.1 of the rate" in err
    assert "new" not in err
    fresh = history(pretrained.parents[1])
    assert history(tmp_path)[0]["loss"] < fresh[0]["loss"] / 2


RESUMED: dict[str, Any] = {"epochs": 4, "frozen_epochs": 2, "ema": 0.9, "dropout": 0.3, "patience": 1}


@pytest.fixture(scope="module")
def undisturbed(other_classes: Path, pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    transfer(other_classes, folder, pretrained, **RESUMED)
    return folder


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_training_that_ends_in_any_phase_is_resumed_with_the_same_bytes(
    other_classes: Path,
    pretrained: Path,
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    epoch: int,
) -> None:
    """After a frozen epoch, between the phases, and after an epoch of fine-tuning."""
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", interrupted(checkpoint.save, epoch))
        with pytest.raises(KeyboardInterrupt):
            transfer(other_classes, tmp_path, pretrained, **RESUMED)
    assert transfer(other_classes, tmp_path, pretrained, **RESUMED)["resumed_after_epoch"] == epoch
    assert digests(tmp_path) == digests(undisturbed)


def test_the_best_epoch_can_be_a_frozen_one(
    other_classes: Path, pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fine-tuning that only does harm leaves its weights alone, also where it is resumed."""
    harmful = {"epochs": 4, "frozen_epochs": 2, "finetune_rate": 1.0, "learning_rate": 0.3, "schedule": "constant"}
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", interrupted(checkpoint.save, 3))
        with pytest.raises(KeyboardInterrupt):
            transfer(other_classes, tmp_path, pretrained, **harmful)
    assert transfer(other_classes, tmp_path, pretrained, **harmful)["best_epoch"] <= 2
    before, after = weights_of(pretrained), weights_of(tmp_path / "out/model.keras")
    for name in before.keys() - {"logits"}:
        for old, new in zip(before[name], after[name], strict=True):
            np.testing.assert_array_equal(old, new)


def test_early_stopping_waits_for_the_fine_tuning(other_classes: Path, undisturbed: Path) -> None:
    """With a patience of one epoch the frozen epochs are complete."""
    assert len(history(undisturbed)) > RESUMED["frozen_epochs"]


def test_two_workers_do_what_one_does(other_classes: Path, pretrained: Path, tmp_path: Path) -> None:
    """Frozen epochs and fine-tuning, in float32."""
    settings = {"epochs": 3, "frozen_epochs": 2, "precision": "float32", "optimizer": "sgd", "schedule": "onecycle"}
    for workers in (1, 2):
        transfer(other_classes, tmp_path / str(workers), pretrained, **settings, workers=workers)
    for one, two in zip(history(tmp_path / "1"), history(tmp_path / "2"), strict=True):
        assert one == pytest.approx(two, abs=1e-4)


def test_weights_that_fit_no_layer_are_refused(normalized: Path, pretrained: Path, tmp_path: Path) -> None:
    """Before the first step, with how many layers have a name in common."""
    names = "of its 5 layers 5 have the name of a layer there, and none the shape"
    with pytest.raises(ConfigError, match=f"whose weights fit no layer of cnn_bn: {names}"):
        transfer(normalized, tmp_path, pretrained, width=0.5)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_refused(normalized: Path, tmp_path: Path, content: bytes) -> None:
    """With its name and the setting that names it."""
    (tmp_path / "damaged.keras").write_bytes(content)
    with pytest.raises(ConfigError, match=r"train.weights is .*damaged.keras: .* cannot be read as a Keras model"):
        transfer(normalized, tmp_path, tmp_path / "damaged.keras")


@pytest.mark.parametrize(("classes", "layers"), [("abcd", 5), ("abdc", 4), ("abcx", 4)])
def test_the_last_layer_is_new_where_the_classes_are_others(
    normalized: Path, pretrained: Path, classes: str, layers: int
) -> None:
    """Though its shape fits: its outputs would be those of other classes."""
    data = json.loads((normalized / "data.json").read_text()) | {"classes": [*classes]}
    params = Train(**(NETWORK | {"weights": "champion"}))
    initialized = initialize(untrained_network(data, params, "float32"), pretrained, params, [*classes])
    assert len(initialized.layers) == layers


def test_an_ensemble_can_be_started_from(normalized: Path, pretrained: Path, tmp_path: Path) -> None:
    """The layers of its first member are those of the network, under other names."""
    from components.train.ensemble import ensemble

    model = read_model(pretrained)
    write_model(ensemble([model, model]), tmp_path / "ensemble.keras")
    data = json.loads((normalized / "data.json").read_text())
    params = Train(**(NETWORK | {"weights": "champion"}))
    initialized = initialize(
        untrained_network(data, params, "float32"), tmp_path / "ensemble.keras", params, data["classes"]
    )
    assert len(initialized.layers) == initialized.total


def some(layers: int, total: int = 4) -> Initialized:
    return Initialized([object()] * layers, total)


@pytest.mark.parametrize(
    ("layers", "frozen", "expected"),
    [
        (0, 3, [(0, 8, False)]),
        (4, 3, [(0, 8, False)]),
        (3, 0, [(0, 8, False)]),
        (3, 3, [(0, 3, True), (3, 8, False)]),
        (3, 8, [(0, 8, True)]),
        (3, 99, [(0, 8, True)]),
    ],
)
def test_the_phases_follow_from_the_layers_that_took_weights(
    layers: int, frozen: int, expected: list[tuple[int, int, bool]]
) -> None:
    """Frozen epochs only where some layers are new and others are not; then the rest of the epochs."""
    params = applied(Train(epochs=8, max_cycles=1, frozen_epochs=frozen, weights="champion"), some(layers))
    made = phases(params, some(layers))
    assert [tuple(phase)[:3] for phase in made] == expected
    assert all(phase.params.epochs == phase.end - phase.first for phase in made)


def test_the_log_says_what_each_phase_trains() -> None:
    """In one line."""
    params = applied(Train(epochs=8, frozen_epochs=3, weights="champion"), some(3))
    assert described(params, some(3)) == (
        "train.weights=champion: 3 of 4 layers; 1 new; epochs 1 to 3 train these alone; epochs 4 to 8 train all, "
        "at 0.1 of the rate"
    )
    assert isinstance(phases(params, some(3))[0], Phase)
