"""One of the processes that train together: python -m components.train.distributed.worker, started by
components.train.distributed.launcher.

    stage -> worker     {"number", "addresses", "threads", and what components.train.trainer.task_of tells}
    worker -> stage     {"up": true}            all workers are there
                        {"row": {...}}          of the history, after each epoch; the chief alone
                        {"done": [seconds]}     of each epoch; [] where it is not the chief
                        {"error", "text"}       a Failure, by its name
                        {"lost": reason}        another worker ended
                        {"taken": address}      somebody else listens there

It ends when its standard input does, which happens when the stage's process ends, in whichever way.
"""

import errno
import hashlib
import json
import math
import os
import re
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.data.input_pipeline import Share
from components.errors import ConfigError, Failure
from components.settings.sections import Train
from components.system.memory import available
from components.system.tensorflow import no_stderr, tensorflow
from components.train import checkpoint
from components.train.callbacks import assisting, hooked
from components.train.distillation import teacher as read_teacher
from components.train.loop import feeds, fit
from components.train.memory_check import explained
from components.train.train_state import learner, network, resolve

if TYPE_CHECKING:
    from components.train.distributed.collectives import Exchange

LOST = ("Aborted", "Cancelled", "DeadlineExceeded", "Internal", "Unavailable", "Unknown")  # errors of TensorFlow

Task = dict[str, Any]
Tell = Callable[[Task], None]


def main() -> None:
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer

    def tell(message: Task) -> None:
        said.write(json.dumps(message) + "\n")
        said.flush()

    status = 1
    try:
        task = json.loads(sys.stdin.readline())
        threading.Thread(target=_end_with_stage, daemon=True).start()
        tell(_answer(task, tell))
        status = 0
    except Exception:
        traceback.print_exc()
    os._exit(status)  # the connection's own end would wait for workers that have gone


def _end_with_stage() -> None:
    sys.stdin.read()
    os._exit(1)  # from under the training, which no one waits for


def _answer(task: Task, tell: Tell) -> Task:
    """Do *task*; returns the last message."""
    if taken := _taken(task["addresses"][task["number"]]):
        return taken
    os.environ["GRPC_VERBOSITY"] = "NONE"  # who ended is told in one sentence, by the stage
    tf = tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    try:
        return {"done": _train(task, tell)}
    except Failure as failure:
        return {"error": type(failure).__name__, "text": str(failure)}
    except tuple(getattr(tf.errors, f"{name}Error") for name in LOST) as error:
        return {"lost": _reason(error)}


def _reason(error: Exception) -> str:
    """What TensorFlow says first of why an exchange ended."""
    told = re.search(r"aborted by: (.+)", str(error))
    return (told[1] if told else str(error).partition("\n")[0]).strip().rstrip(".:")


def _taken(address: str) -> Task | None:
    """TensorFlow's server would share the port with another one, so it is asked for beforehand."""
    port = int(address.rpartition(":")[2])
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("", port))
            one.listen()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return {"taken": address}
    return None


def _train(task: Task, tell: Tell) -> list[float]:
    """This worker's part in the training; returns the seconds of each epoch."""
    from components.train.distributed.collectives import Exchange

    with no_stderr():
        exchange = Exchange(task["addresses"], task["number"])
    normalize, params = Path(task["normalize"]), Train(**task["params"])
    data = json.loads((normalize / "data.json").read_text())
    _compare(exchange, normalize, params)
    tell({"up": True})
    seconds = _fit(exchange, data, normalize, params, task, tell)
    exchange.leave()
    return seconds


def _compare(exchange: "Exchange", normalize: Path, params: Train) -> None:
    """Raise ConfigError, in every worker, where they do not all train the same."""
    asked = {
        "params": asdict(params),
        "precision": resolve(params),
        "data": (normalize / "data.json").read_text(),
    }
    told = hashlib.sha256(
        json.dumps(asked, sort_keys=True).encode() + (normalize / "train" / "labels.npy").read_bytes()
    )
    others = int(exchange.total([exchange.chiefs_text(told.hexdigest()) != told.hexdigest()])[0])
    if others:
        raise ConfigError(
            f"{others} of {exchange.size} workers have other settings, images or arithmetic than the chief; start all "
            "with the same settings and source, and with --set train.precision=float32 where processors differ"
        )


def _fit(
    exchange: "Exchange", data: dict[str, Any], normalize: Path, params: Train, task: Task, tell: Tell
) -> list[float]:
    import keras

    from components.train.distributed.collectives import Agreement, Together

    keras.utils.set_random_seed(params.seed)
    model = Together(network(data, params, resolve(params)), exchange, params)
    wise = read_teacher(Path(task["teacher"]), data["shape"], len(data["classes"])) if task["teacher"] else None
    feed, held_out = feeds(normalize, data, params, wise, Share(exchange.number, exchange.size))
    mine, chief, work = learner(model, params, feed.steps), exchange.number == 0, Path(task["work"])
    state = checkpoint.load(work, mine.variables) if chief else checkpoint.fresh()
    state = json.loads(exchange.chiefs_text(json.dumps(state)))
    agreement = hooked(Agreement(exchange, mine.variables, held_out.measured))
    with explained(mine.model, math.ceil(params.batch_size / exchange.size), available()):
        if chief:
            logs = Path(task["logs"])
            return fit(mine, feed, held_out, work, logs, params, state, [agreement], lambda r: tell({"row": r[-1]}))
        mine.fit(feed, held_out, params, state, [agreement, *assisting(mine, params, state)])
    return []


if __name__ == "__main__":
    main()
