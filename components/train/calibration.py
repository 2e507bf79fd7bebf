"""Temperature scaling: one number, fitted on the validation split, that makes probabilities say what they mean.

All logits are divided by it before softmax, so the order of the classes stays, and with it the accuracy. It is a layer
of the saved model, so every export has it. An ensemble gets one temperature for all of its members; the class that is
most probable on average may then change for single images.
C. Guo, G. Pleiss, Y. Sun, K. Weinberger, On calibration of modern neural networks, 2017: arXiv:1706.04599.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import Calibration
from components.data.splits import Split, chunks
from components.formatting import percent
from components.metrics import calibration
from components.models.prediction import BATCH_SIZE, Probabilities, keras_predictor
from components.progress import progress, say
from components.system.tensorflow import KerasModel, Layer

OUTPUT = "probabilities"  # the softmax of a network; of a member of an ensemble, "member1_probabilities"
STEP, STEPS = 1.02, 70  # candidates: powers of 1.02 from 0.25 to 4, so that rounding changes no byte of the model
MIN_MISTAKES = 10  # among the validation images; without mistakes, the best temperature would be 0
MOST_IMAGES = 10_000

Logits = NDArray[np.float64]  # (N, members, classes)
Labels = NDArray[np.int64]
Losses = NDArray[np.float64]


def calibrate(model: KerasModel, normalize: Path) -> tuple[KerasModel, Calibration]:
    """*model* with the temperature that fits the validation split in *normalize*, and what that changed.

    The model is returned as it is where no temperature helps: where the loss of an image does not fall by more than its
    standard error, which for one fitted number is a likelihood-ratio test at 95 %, or there are too few mistakes.
    """
    validation = Split(normalize / "validation")
    images = np.linspace(0, len(validation) - 1, min(len(validation), MOST_IMAGES)).astype(np.int64)
    logits, labels = _logits(model, validation, images), validation.labels[images]
    temperature = fit(logits, labels)
    (loss_before, error_before), (loss, error) = (_measured(logits, labels, at) for at in (1.0, temperature))
    if temperature != 1:
        model = with_temperature(model, temperature)
        say(
            f"  temperature {temperature:.3g}: calibration error {percent(error_before)} before, {percent(error)} after"
        )
    return model, {
        "temperature": temperature,
        "loss_before": loss_before,
        "loss": loss,
        "error_before": error_before,
        "error": error,
    }


def fit(logits: Logits, labels: Labels) -> float:
    """The temperature with the lowest loss on the images; 1 where it does not help."""
    mistakes = int((probabilities(logits, 1.0).argmax(axis=1) != labels).sum())
    if mistakes < MIN_MISTAKES:
        return 1.0
    best = STEP ** _lowest(lambda exponent: float(losses(logits, labels, STEP**exponent).mean()))
    gains = losses(logits, labels, 1.0) - losses(logits, labels, best)
    return best if gains.mean() > gains.std() / math.sqrt(len(gains)) else 1.0


def _lowest(loss: Callable[[int], float]) -> int:
    """The whole number from -STEPS to STEPS where *loss*, which falls and then rises, is lowest: ternary search."""
    low, high = -STEPS, STEPS
    while high - low > 2:
        third = (high - low) // 3
        if loss(low + third) <= loss(high - third):
            high -= third
        else:
            low += third
    return min(range(low, high + 1), key=loss)


def probabilities(logits: Logits, temperature: float) -> NDArray[np.float64]:
    """(N, classes): the mean over the members of the softmax of their logits, divided by *temperature*."""
    mean: NDArray[np.float64] = np.exp(_log_softmax(logits, temperature)).mean(axis=1)
    return mean


def losses(logits: Logits, labels: Labels, temperature: float) -> Losses:
    """(N,): the cross-entropy of each image, in nats."""
    of_truth = _log_softmax(logits, temperature)[np.arange(len(labels)), :, labels]
    mean: Losses = np.logaddexp.reduce(of_truth, axis=1) - math.log(logits.shape[1])
    return -mean


def _log_softmax(logits: Logits, temperature: float) -> Logits:
    scaled = logits / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    shares: Logits = scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True))
    return shares


def _measured(logits: Logits, labels: Labels, temperature: float) -> tuple[float, float]:
    """Mean loss and expected calibration error."""
    shares = probabilities(logits, temperature)
    error, _ = calibration(shares.max(axis=1), shares.argmax(axis=1) == labels)
    return float(losses(logits, labels, temperature).mean()), error


def _logits(model: KerasModel, split: Split, images: NDArray[np.int64]) -> Logits:
    import keras

    stacked = keras.ops.stack([layer.input for layer in _softmaxes(model)], axis=1)
    predictor = keras_predictor(keras.Model(model.input, stacked))
    logits: list[Probabilities] = []
    with progress("train: validation images, for the temperature", len(images)) as advance:
        for part in chunks(images, split.shape, BATCH_SIZE):
            logits.append(predictor(split.take(part)))
            advance(sum(map(len, logits)))
    return np.concatenate(logits).astype(np.float64)


def _softmaxes(model: KerasModel) -> list[Layer]:
    """The layers that turn logits into probabilities: one, or that of each member of an ensemble."""
    import keras

    output = model.get_layer(OUTPUT)
    if not isinstance(output, keras.layers.Average):
        return [output]
    return [model.get_layer(f"member{k}_{OUTPUT}") for k in range(1, len(output.input) + 1)]


def with_temperature(model: KerasModel, temperature: float) -> KerasModel:
    """*model*, its weights shared, with a layer before each softmax that divides by *temperature*."""
    import keras

    outputs = []
    for softmax in _softmaxes(model):
        name = softmax.name.removesuffix(OUTPUT) + "temperature"
        scaled = keras.layers.Rescaling(1 / temperature, dtype="float32", name=name)(softmax.input)
        outputs.append(type(softmax).from_config(softmax.get_config())(scaled))
    if len(outputs) > 1:
        outputs = [keras.layers.Average(name=OUTPUT)(outputs)]
    return keras.Model(model.input, outputs[0], name=model.name)
