"""The phases of a training that starts from other weights: frozen epochs, then fine-tuning at a lower rate.

Each phase has an optimizer and a learning-rate schedule of its own, as in Keras' guide to transfer learning
(https://keras.io/guides/transfer_learning/). The optimizer always knows all weights, and so the checkpoint has the same
variables in every phase. A training from scratch has one phase.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from components.settings.sections import NO_WEIGHTS, Train
from components.system.tensorflow import KerasModel
from components.train import checkpoint
from components.train.best_weights import BestWeights
from components.train.checkpoint import Progress
from components.train.train_state import TrainState, create_train_state
from components.train.weights import Initialized

LOWEST_RATE = 1e-7  # of train.learning_rate


class Phase(NamedTuple):
    first: int  # epochs before it
    end: int  # epochs after it
    frozen: bool
    params: Train  # with the epochs and the learning rate of this phase


def applied(params: Train, initialized: Initialized) -> Train:
    """*params* with the frozen epochs that there are: none where no layer took weights, or all did."""
    if params.weights == NO_WEIGHTS:
        return params
    partly = 0 < len(initialized.layers) < initialized.total
    return replace(params, frozen_epochs=min(params.frozen_epochs, params.epochs) if partly else 0)


def phases(params: Train, initialized: Initialized) -> list[Phase]:
    """The phases of a training with the settings that `applied` gives."""
    if not initialized.layers:
        return [Phase(0, params.epochs * params.max_cycles, False, params)]
    frozen, rate = params.frozen_epochs, max(LOWEST_RATE, params.learning_rate * params.finetune_rate)
    head = replace(params, epochs=max(1, frozen), warmup=0.0)
    parts = [Phase(0, frozen, True, head)] if frozen else []
    if frozen < params.epochs:
        left = params.epochs - frozen
        parts.append(Phase(frozen, params.epochs, False, replace(params, epochs=left, learning_rate=rate)))
    return parts


def described(params: Train, initialized: Initialized) -> str:
    """What the phases train, for the log."""
    text = f"train.weights={params.weights}: {initialized}"
    for phase in phases(params, initialized):
        if phase.frozen:
            text += f"; epochs 1 to {phase.end} train these alone"
        else:
            text += f"; epochs {phase.first + 1} to {phase.end} train all, at {params.finetune_rate:g} of the rate"
    return text


class PhasedTraining:
    """The phases of *model*; `state` is that of the current one."""

    def __init__(self, model: KerasModel, params: Train, initialized: Initialized, steps: int) -> None:
        """*params* as `applied` gives them; *steps* is the number of batches in an epoch."""
        self._model, self._initialized, self._steps = model, initialized, steps
        self._phases = phases(params, initialized)
        self._best = BestWeights(model.weights)
        self._enter(self._phases[0])

    def resume(self, progress: Progress) -> None:
        """Enter the phase of the last epoch in *progress*."""
        last = max(0, len(progress["history"]) - 1)
        self._enter(next((phase for phase in self._phases if phase.first <= last < phase.end), self._phases[-1]))

    def restore(self, work: Path) -> Progress:
        """Restore the last training in *work*, if there is one that can be read; returns its progress."""
        self.resume(checkpoint.read_progress(work))
        progress = checkpoint.restore(work, self.state.variables, self._best)
        if not progress["history"]:
            self.resume(progress)
        return progress

    def remaining(self, progress: Progress) -> Iterator[Phase]:
        """The phases with epochs that *progress* lacks, each entered when its turn comes."""
        for phase in self._phases:
            if not progress["stopped"] and len(progress["history"]) < phase.end:
                if phase is not self._phase:
                    self._enter(phase)
                yield phase

    def _enter(self, phase: Phase) -> None:
        """Compile the model for *phase*: its optimizer is new, and its weights are those that it has."""
        self._phase = phase
        for layer in self._initialized.layers:
            layer.trainable = True
        self.state: TrainState = create_train_state(self._model, phase.params, self._steps, self._best)
        for layer in self._initialized.layers:
            layer.trainable = not phase.frozen
