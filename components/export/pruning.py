"""Magnitude pruning: the smallest weights become 0 and stay 0 while the others are fine-tuned.

The share of zeros rises by the cubic schedule of Zhu and Gupta (arXiv:1710.01878, equation 1), steeply at first,
through the first half of the steps; the second half trains what is left. As there, each kernel is pruned to the same
share, and kernels with few but important weights are left out: the convolution that reads the pixels and the depthwise
ones. A file of 8-bit weights is no smaller for it, but compresses better, for a download to a phone for example.
"""

import json
from pathlib import Path
from typing import Any

from components.data.input_pipeline import InputPipeline
from components.data.splits import Split
from components.errors import ExportRejected
from components.models.saving import read_model
from components.progress import say
from components.settings.sections import Export, Train
from components.system.tensorflow import tensorflow

SEED = 0
BATCH_SIZE, LEARNING_RATE = 64, 1e-3
RISE = 0.5  # share of the steps in which the share of zeros rises
UPDATES = 50  # of the masks during the rise


def prune(file: Path, normalize: Path, params: Export) -> Any:
    """The model in *file* with `params.sparsity` of each kernel 0, fine-tuned for `params.finetune_epochs` epochs.

    The same bytes for the same inputs. Raises ExportRejected where no kernel can be pruned.
    """
    tensorflow()
    import keras

    keras.utils.set_random_seed(SEED)
    model = read_model(file)
    masks = Masks(model)
    if not masks.kernels:
        raise ExportRejected(
            f"the network {model.name} has no kernel to prune; leave pruned out: "
            "--set export.formats=saved_model,tflite,int8"
        )
    say(f"  setting {params.sparsity:.0%} of {len(masks.kernels)} kernels to 0, in {params.finetune_epochs} epochs")
    if params.finetune_epochs:
        _fine_tune(model, masks, normalize, params)
    else:
        masks.update(params.sparsity)
    return model


def _fine_tune(model: Any, masks: "Masks", normalize: Path, params: Export) -> None:
    """Train on the training split while the share of zeros rises, then with fixed masks."""
    import keras

    classes = len(json.loads((normalize / "data.json").read_text())["classes"])
    settings = Train(epochs=params.finetune_epochs, batch_size=BATCH_SIZE, augment="none", seed=SEED)
    pipeline = InputPipeline(Split(normalize / "train"), classes, settings)
    steps = pipeline.steps * params.finetune_epochs
    rise = int(RISE * steps)
    every = max(1, rise // UPDATES)
    done = 0

    def before_step(batch: int, logs: dict[str, float] | None = None) -> None:
        nonlocal done
        if done == rise or (done < rise and done % every == 0):
            masks.update(sparsity_at(params.sparsity, done / rise if rise else 1))
        done += 1

    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    model.compile(keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy())
    model.fit(
        pipeline.training(0),
        shuffle=False,  # the input pipeline does it
        epochs=params.finetune_epochs,
        steps_per_epoch=pipeline.steps,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_begin=before_step)],
        verbose=0,
    )


def sparsity_at(sparsity: float, progress: float) -> float:
    """The share of zeros after *progress*, 0 to 1, of the rise to *sparsity*."""
    return sparsity * (1 - (1 - progress) ** 3)


class Masks:
    """The kernels of *model* that can be pruned, each kept at 0 wherever its mask is 0."""

    def __init__(self, model: Any) -> None:
        self.kernels = [weight for weight in model.trainable_variables if _can_be_pruned(weight, model.input_shape[-1])]
        self._masks = [tensorflow().Variable(kernel.numpy() * 0 + 1, trainable=False) for kernel in self.kernels]
        for kernel, mask in zip(self.kernels, self._masks, strict=True):
            kernel.constraint = mask.__mul__  # the optimizer applies it after each step, inside the compiled step

    def update(self, sparsity: float) -> None:
        """Mask the smallest weights: *sparsity* of each kernel, rounded down; masked weights stay masked."""
        import numpy as np

        for kernel, mask in zip(self.kernels, self._masks, strict=True):
            weights = kernel.numpy()
            smallest = np.argsort(abs(weights), axis=None, kind="stable")[: int(sparsity * weights.size)]
            kept = np.ones_like(weights)
            kept.flat[smallest] = 0
            mask.assign(kept)
            kernel.assign(weights * kept)


def _can_be_pruned(weight: Any, channels: int) -> bool:
    reads_pixels = len(weight.shape) == 4 and weight.shape[-2] == channels
    depthwise = weight.shape[-1] == 1
    return weight.name.endswith("kernel") and not (reads_pixels or depthwise)


def zeros(model: Any) -> float:
    """The share of the weights of *model*, biases and normalisation included, that are 0."""
    weights = [variable.numpy() for variable in model.trainable_variables]
    return float(sum((array == 0).sum() for array in weights) / sum(array.size for array in weights))
