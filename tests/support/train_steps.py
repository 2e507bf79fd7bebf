"""A worker, or a training with one worker, that records every step: python -m tests.support.train_steps JSON.

    {"number", "addresses", "normalize", "params", "out"}; without addresses it trains alone

It writes out/NUMBER.npz: each weight after each step as STEP-PATH, and the loss that was reported as STEP-loss.
"""

import json
import sys
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from components.data.input_pipeline import Share
from components.settings.sections import Train
from components.system.tensorflow import tensorflow
from components.train.checkpoint import no_progress
from components.train.loop import fit, input_pipelines
from components.train.network import untrained_network
from components.train.task import Task
from components.train.train_state import TrainState, create_train_state


class Steps(TypedDict):
    number: int
    addresses: list[str]
    normalize: str
    params: dict[str, Any]
    out: str


def main(steps: Steps) -> None:
    tensorflow()
    import keras

    from components.train.distributed.collectives import Collectives
    from components.train.distributed.replica import DistributedModel

    collectives = Collectives(steps["addresses"], steps["number"]) if steps["addresses"] else None
    task = Task(Path(steps["normalize"]), Train(**steps["params"]), Path(), Path())
    keras.utils.set_random_seed(task.params.seed)
    model = untrained_network(task.data, task.params, "float32")
    model = DistributedModel(model, collectives, task.params) if collectives else model
    inputs = input_pipelines(task, None, Share(collectives.number, collectives.size) if collectives else None)
    state = create_train_state(model, task.params, inputs.training.steps)
    recorder = Recorder(state)
    fit(task, state, inputs, no_progress(), [keras.callbacks.LambdaCallback(on_train_batch_end=recorder.record)])
    np.savez(Path(steps["out"]) / f"{steps['number']}.npz", **recorder.arrays)
    if collectives:
        collectives.leave()


class Recorder:
    def __init__(self, state: TrainState) -> None:
        self._model, self._steps = state.model, 0
        self.arrays: dict[str, Any] = {}

    def record(self, _: int, logs: dict[str, float]) -> None:
        self.arrays |= {f"{self._steps:02}-{weight.path}": weight.numpy() for weight in self._model.weights}
        self.arrays[f"{self._steps:02}-loss"] = np.array(logs["loss"])
        self._steps += 1


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
