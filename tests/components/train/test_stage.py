"""Train: the files that it writes, and the trainings that it rejects."""

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
from components.system.processor import processor
from components.system.tensorflow import tensorflow
from components.train.callbacks import DivergenceGuard
from components.train.machine import settled
from tests.support.small_training import history, run, write_normalized


@pytest.fixture(scope="module")
def normalized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_normalized(tmp_path_factory.mktemp("normalize"))


@pytest.fixture(scope="module")
def trained(normalized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    run(normalized, folder)
    return folder


def test_kinds_of_augmentation_without_effect_are_reported(
    normalized: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The images are grey: they have neither saturation nor hue."""
    run(normalized, tmp_path, epochs=1, augment="brightness,saturation,hue")
    assert "train.augment: no effect of saturation and hue on grey images" in capsys.readouterr().err


def test_a_nan_loss_rejects_the_model(normalized: Path, tmp_path: Path) -> None:
    """NaN weights end the training in its first epoch, with the value and what to change.

    The loss alone does not show it: on some processors ReLU and pooling turn NaN into numbers.
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


def test_an_infinite_validation_loss_rejects_the_model() -> None:
    """Even where only the validation loss is infinite, before the weights could be kept as the best."""
    guard = DivergenceGuard(0.5, [])
    guard.on_epoch_begin(2, {})
    with pytest.raises(ModelRejected, match="epoch 3: val_loss is inf"):
        guard.on_epoch_end(2, {"val_loss": math.inf})


def test_the_artifact_is_complete(normalized: Path, trained: Path) -> None:
    """The weights of the best epoch, a row per epoch, and a summary that agrees with both."""
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


def test_a_training_computes_in_the_threads_of_its_settings(
    normalized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default in those of this machine, which the facts name with the kind of its processor."""
    facts = run(normalized, tmp_path / "usual", epochs=1)
    usual = settled(Train()).threads
    assert facts["processor"] == {**processor(), "threads": usual}
    assert tensorflow().config.threading.get_intra_op_parallelism_threads() == usual
    used: list[int] = []
    monkeypatch.setattr("components.train.stage.use_threads", used.append)  # a process can have one number only
    run(normalized, tmp_path / "three", epochs=1, threads=3)
    assert used == [3]


def test_bfloat16_trains_a_model_that_computes_in_float32(normalized: Path, tmp_path: Path) -> None:
    """Mixed precision gives a model with float32 probabilities that sum to one, and restores the dtype policy."""
    run(normalized, tmp_path, model="cnn_bn", precision="mixed_bfloat16", epochs=1)
    import keras

    assert keras.config.dtype_policy().name == "float32"
    assert json.loads((tmp_path / "out/summary.json").read_text())["precision"] == "mixed_bfloat16"
    probabilities = read_model(tmp_path / "out/model.keras").predict(Split(normalized / "test").images(), verbose=0)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_label_smoothing_and_cosine_train_too(normalized: Path, tmp_path: Path) -> None:
    """Smoothing turns labels into one-hot rows; the cosine ends near zero."""
    run(normalized, tmp_path, label_smoothing=0.1, schedule="cosine", patience=5)
    rows = history(tmp_path)
    assert rows[-1]["val_accuracy"] > 0.9
    assert rows[0]["learning_rate"] == pytest.approx(0.01)
    assert rows[-1]["learning_rate"] < 0.002


def test_tensorboard_gets_metrics_and_histograms(trained: Path) -> None:
    """The event files of training and validation hold the metrics of each epoch and histograms of the weights."""
    from components.system.tensorflow import tensorflow

    tf = tensorflow()
    [path] = (trained / "logs/train").iterdir()
    events = [tf.compat.v1.Event.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(path))]
    tags = [value.tag for event in events for value in event.summary.value]
    assert tags.count("epoch_loss") == 5
    assert tags.count("hidden/kernel/histogram") == 5
    [path] = (trained / "logs/validation").iterdir()
    assert path.stat().st_size > 500
