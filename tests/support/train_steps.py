"""One worker of a training of which every step is written down: python -m tests.support.train_steps JSON.

    {"number", "addresses", "normalize", "params", "out"}; without addresses it trains by itself

writes out/NUMBER.npz: each weight after each step, as step-weight, and the loss that was told.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from components.data.input_pipeline import Share
from components.settings.sections import Train
from components.system.tensorflow import tensorflow
from components.train import checkpoint
from components.train.loop import feeds
from components.train.train_state import learner, network


def main(task: dict[str, Any]) -> None:
    tensorflow()
    import keras

    from components.train.distributed.collectives import Exchange, Together

    exchange = Exchange(task["addresses"], task["number"]) if task["addresses"] else None
    params, normalize = Train(**task["params"]), Path(task["normalize"])
    data = json.loads((normalize / "data.json").read_text())
    keras.utils.set_random_seed(params.seed)
    model = network(data, params, "float32")
    model = Together(model, exchange, params) if exchange else model
    share = Share(exchange.number, exchange.size) if exchange else None
    feed, held_out = feeds(normalize, data, params, None, share)
    mine = learner(model, params, feed.steps)
    found: dict[str, Any] = {}

    def note(step: int, logs: dict[str, float]) -> None:
        count = len({name.partition("-")[0] for name in found})
        found.update({f"{count:02}-{w.path}": w.numpy() for w in mine.model.weights})
        found[f"{count:02}-loss"] = np.array(logs["loss"])

    mine.fit(feed, held_out, params, checkpoint.fresh(), [keras.callbacks.LambdaCallback(on_train_batch_end=note)])
    np.savez(Path(task["out"]) / f"{task['number']}.npz", **found)
    if exchange:
        exchange.leave()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
