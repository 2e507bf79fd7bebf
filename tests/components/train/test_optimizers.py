"""Optimizers, schedules, losses and weight averages: each does what its setting says."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.data.input_pipeline import InputPipeline
from components.data.labels import uses_one_hot
from components.data.splits import Split, SplitWriter
from components.errors import ConfigError
from components.settings.sections import Train
from components.system.tensorflow import tensorflow
from components.train import losses
from components.train.network import ImageProperties, untrained_network
from components.train.optimizers import optimizer, rate
from components.train.train_state import TrainState, create_train_state
from tests.support.small_training import history, run, write_normalized

DATA: ImageProperties = {"shape": [8, 8, 1], "classes": list("abcd"), "mean": [0.3], "std": [0.2]}


def build(params: Train, steps: int = 10) -> TrainState:
    tensorflow()
    import keras

    keras.utils.set_random_seed(0)
    return create_train_state(untrained_network(DATA, params, "float32"), params, steps)


def rates(params: Train, steps: int) -> list[float]:
    """The learning rate of each step of a training of *steps* batches an epoch."""
    tensorflow()
    schedule = rate(params, steps)
    return [float(schedule(step)) for step in range(params.epochs * steps + 1)]


def test_one_cycle_rises_for_three_tenths_and_falls_to_almost_nothing() -> None:
    """From a 25th of the rate to the rate and down to a 250,000th of it, without a jump."""
    values = rates(Train(epochs=10, learning_rate=0.5, schedule="onecycle"), 20)
    assert values[0] == pytest.approx(0.5 / 25)
    assert int(np.argmax(values)) == 60
    assert values[60] == pytest.approx(0.5)
    assert values[-1] == pytest.approx(0.5 * 1e-4 / 25, rel=0.01)
    assert np.abs(np.diff(values)).max() < 0.02
    quarter = (1 - math.cos(math.pi / 4)) / 2  # of the way at a quarter of the time: half a cosine
    assert values[15] == pytest.approx(0.5 * (1 / 25 + (1 - 1 / 25) * quarter))
    assert values[60 + 35] == pytest.approx(0.5 * (1 + (1e-4 / 25 - 1) * quarter), rel=1e-4)


def test_cosine_warms_up_from_zero_and_ends_at_zero() -> None:
    """A straight line over the epochs of the warm-up, then half a cosine over the rest."""
    values = rates(Train(epochs=10, learning_rate=0.5, schedule="cosine", warmup=1.5), 20)
    np.testing.assert_allclose(values[:31], np.linspace(0, 0.5, 31), atol=1e-6)
    assert values[30 + 85] == pytest.approx(0.25)
    assert values[-1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_weight_decay_shrinks_kernels_and_leaves_biases_and_scales_alone(name: str) -> None:
    """A step without a gradient multiplies a kernel by 1 - rate * decay, and nothing else."""
    tensorflow()
    import keras

    params = Train(model="cnn_bn", optimizer=name, weight_decay=0.5, learning_rate=0.1, schedule="constant")
    model = untrained_network(DATA, params, "float32")
    built = optimizer(model, params, 10)
    before = [weight.numpy() for weight in model.trainable_variables]
    built.apply([keras.ops.zeros_like(weight) for weight in model.trainable_variables])
    for old, new in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_allclose(new.numpy(), old * (0.95 if old.ndim > 1 else 1), rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"warmup": 1.0, "schedule": "onecycle"}, "train.schedule onecycle has no warm-up"),
        ({"warmup": 8.0, "epochs": 8, "schedule": "cosine"}, "expected fewer than train.epochs, which is 8"),
    ],
)
def test_a_setting_without_effect_is_rejected(settings: dict[str, Any], message: str) -> None:
    """Before anything runs, with what to change."""
    with pytest.raises(ConfigError, match=message):
        Train(**settings)


@pytest.fixture(scope="module")
def unbalanced(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """Thirty images of class 0, nine of class 1 and one of class 2."""
    folder = tmp_path_factory.mktemp("unbalanced") / "train"
    labels = np.repeat(np.arange(3), [30, 9, 1])
    with SplitWriter(folder, (2, 2, 1)) as out:
        out.add(np.zeros((40, 2, 2, 1), np.uint8), labels)
    return Split(folder)


def test_balanced_weights_give_each_class_the_same_total(unbalanced: Split) -> None:
    """N / (K * n_c): the sums of the classes are equal and the mean is 1; validation images are not weighted."""
    pipeline = InputPipeline(unbalanced, 3, Train(class_weights="balanced", batch_size=16, epochs=1, augment="none"))
    batches = [(y.numpy(), w.numpy()) for _, y, w in pipeline.training(0)]
    labels, weights = (np.concatenate(part) for part in zip(*batches, strict=True))
    assert weights.mean() == pytest.approx(1)
    np.testing.assert_allclose([weights[labels == k].sum() for k in range(3)], 40 / 3, rtol=1e-6)
    assert all(len(batch) == 2 for batch in pipeline.measuring())


def test_one_hot_labels_give_the_loss_of_class_numbers() -> None:
    """The two losses are equal; label smoothing selects one-hot labels by itself."""
    tensorflow()
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32)
    labels = np.array([0, 1])
    sparse = losses.loss(Train())(labels, probabilities)
    one_hot = losses.loss(Train(loss="one_hot"))(np.eye(3, dtype=np.float32)[labels], probabilities)
    assert float(sparse) == pytest.approx(float(one_hot), rel=1e-6)
    assert uses_one_hot(Train(label_smoothing=0.1))
    assert not uses_one_hot(Train())


def test_the_average_follows_every_weight_and_is_evaluated_in_its_place(tmp_path: Path) -> None:
    """It averages the weights after each step, statistics too; after an epoch training continues with the weights."""
    tensorflow()
    import keras

    split = Split(write_normalized(tmp_path) / "train")
    state = build(Train(model="cnn_bn", ema=0.9, learning_rate=0.1))
    assert state.average
    expected = [weight.numpy() for weight in state.model.weights]
    for step in range(1, 13):
        state.model.train_on_batch(split.images()[8 * step - 8 : 8 * step], split.labels[8 * step - 8 : 8 * step])
        state.average.on_train_batch_end(step, {})
        momentum = min(0.9, (1 + step) / (10 + step))
        expected = [
            momentum * e + (1 - momentum) * w.numpy() for e, w in zip(expected, state.model.weights, strict=True)
        ]
    raw = state.model.get_weights()
    state.average.on_test_begin({})
    measured = state.model.get_weights()
    state.average.on_epoch_end(0, {})
    for average, weight, before, after in zip(expected, measured, raw, state.model.get_weights(), strict=True):
        np.testing.assert_allclose(weight, average, rtol=1e-3, atol=1e-5)
        np.testing.assert_array_equal(before, after)
    moved = [not np.allclose(a, b) for a, b in zip(raw, measured, strict=True)]
    assert all(moved)
    assert keras.config.dtype_policy().name == "float32"


def test_every_setting_together_trains(tmp_path: Path) -> None:
    """One cycle, SGD, weight decay, class weights, label smoothing and averaged weights learn as well as Adam."""
    run(
        write_normalized(tmp_path / "normalize"),
        tmp_path,
        model="cnn_bn",
        optimizer="sgd",
        learning_rate=0.1,
        weight_decay=0.01,
        schedule="onecycle",
        class_weights="balanced",
        label_smoothing=0.1,
        ema=0.9,
    )
    rows = history(tmp_path)
    assert rows[-1]["val_accuracy"] > 0.9
    assert rows[1]["learning_rate"] > 5 * rows[0]["learning_rate"]
