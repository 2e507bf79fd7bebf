"""Train: the files that it writes, and the trainings that it refuses."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from components.data.splits import Split
from components.errors import ModelRejected
from components.models.saving import read_model
from components.settings.sections import Train
from components.train.callbacks import Divergence
from components.train.train_state import resolve
from tests.support.small_training import history, run, write_normalized


@pytest.fixture(scope="module")
def normalized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_normalized(tmp_path_factory.mktemp("normalize"))


@pytest.fixture(scope="module")
def trained(normalized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    run(normalized, folder)
    return folder


def test_a_loss_that_is_no_number_rejects_the_model(normalized: Path, tmp_path: Path) -> None:
    """Weights of nan end the training at its first epoch, with the value and what to change.

    The loss alone does not show it: ReLU and pooling of some processors' kernels make numbers of nan.
    """
    data = json.loads((normalized / "data.json").read_text())
    broken = tmp_path / "normalize"
    shutil.copytree(normalized, broken)
    (broken / "data.json").write_text(json.dumps(data | {"mean": [math.nan]}))
    with pytest.raises(
        ModelRejected, match=r"epoch 1: (loss|the sum of \S+) is nan; lower train.learning_rate \(0.01 now\)"
    ):
        run(broken, tmp_path)
    assert not list((tmp_path / "work").iterdir())


def test_a_validation_loss_that_is_no_number_rejects_the_model() -> None:
    """Also where only the validation loss is lost, before its weights could be kept as the best."""
    judge = Divergence(0.5, [])
    judge.on_epoch_begin(2, {})
    with pytest.raises(ModelRejected, match="epoch 3: val_loss is inf"):
        judge.on_epoch_end(2, {"val_loss": math.inf})


def test_the_artifact_holds_what_its_readers_need(normalized: Path, trained: Path) -> None:
    """The best epoch's weights, a row per epoch, and a summary that agrees with both."""
    out = trained / "out"
    assert sorted(path.name for path in out.iterdir()) == ["history.csv", "model.keras", "summary.json"]
    summary, rows = json.loads((out / "summary.json").read_text()), history(trained)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5][: summary["epochs"]]
    assert summary["best_epoch"] == min(rows, key=lambda row: row["val_loss"])["epoch"]

    held_out = Split(normalized / "validation")
    probabilities = read_model(out / "model.keras").predict(held_out.images(), verbose=0)
    assert probabilities.dtype == np.float32
    accuracy = (probabilities.argmax(1) == held_out.labels).mean()
    assert accuracy == pytest.approx(summary["validation_accuracy"], abs=1e-6)
    assert accuracy > 0.9


def test_bfloat16_trains_and_its_model_answers_in_float32(normalized: Path, tmp_path: Path) -> None:
    """Mixed precision ends in a model whose probabilities are float32 and sum to one, and leaves no policy behind."""
    run(normalized, tmp_path, model="cnn_bn", precision="mixed_bfloat16", epochs=1)
    import keras

    assert keras.config.dtype_policy().name == "float32"
    assert json.loads((tmp_path / "out/summary.json").read_text())["precision"] == "mixed_bfloat16"
    probabilities = read_model(tmp_path / "out/model.keras").predict(Split(normalized / "test").images(), verbose=0)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags : fpu avx2 avx512f", "float32"),
        ("flags : avx512_bf16 x", "mixed_bfloat16"),
        ("amx_bf16", "mixed_bfloat16"),
    ],
)
def test_auto_precision_follows_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, expected: str
) -> None:
    """bfloat16 only where the processor says that it computes in it, and for no network that is slower so; a stated
    precision is taken as it is."""
    (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr("components.train.train_state.CPUINFO", tmp_path / "cpuinfo")
    assert resolve(Train()) == expected
    assert resolve(Train(model="mobilenet_v2")) == "float32"
    assert resolve(Train(precision="float32")) == "float32"
    assert resolve(Train(model="mobilenet_v2", precision="mixed_bfloat16")) == "mixed_bfloat16"
    monkeypatch.setattr("components.train.train_state.CPUINFO", tmp_path / "none")
    assert resolve(Train()) == "float32"


def test_label_smoothing_and_cosine_train_too(normalized: Path, tmp_path: Path) -> None:
    """One-hot labels are made where smoothing needs them; the cosine ends near zero."""
    run(normalized, tmp_path, label_smoothing=0.1, schedule="cosine", patience=5)
    rows = history(tmp_path)
    assert rows[-1]["val_accuracy"] > 0.9
    assert rows[0]["learning_rate"] == pytest.approx(0.01)
    assert rows[-1]["learning_rate"] < 0.002


def test_tensorboard_gets_figures_and_histograms(trained: Path) -> None:
    """Event files for training and validation hold each epoch's figures and the weights' distribution."""
    from components.system.tensorflow import tensorflow

    tf = tensorflow()
    [path] = (trained / "logs/train").iterdir()
    events = [tf.compat.v1.Event.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(path))]
    tags = [value.tag for event in events for value in event.summary.value]
    assert tags.count("epoch_loss") == 5
    assert tags.count("hidden/kernel/histogram") == 5
    [path] = (trained / "logs/validation").iterdir()
    assert path.stat().st_size > 500
