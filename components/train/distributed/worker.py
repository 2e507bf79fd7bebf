"""One worker of a distributed training: python -m components.train.distributed.worker, started by the launcher.

launcher -> worker   WorkerTask (components.train.distributed.cluster)
worker -> launcher   {"connected": true}   to all other workers
                     {"row": {...}}        of the history, after each epoch; from the chief alone
                     {"done": [seconds]}   of each epoch; [] where it is not the chief
                     {"error", "text"}     a Failure
                     {"lost": reason}      another worker ended
                     {"taken": address}    another process listens at this worker's address
"""

import errno
import hashlib
import json
import math
import os
import re
import socket
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from components.data.input_pipeline import Share
from components.errors import ConfigError, Failure
from components.settings.sections import Train
from components.system.memory import available
from components.system.processes import Message, Parent, failure_message
from components.system.tensorflow import no_stderr, tensorflow
from components.train import checkpoint
from components.train.callbacks import assisting, hooked
from components.train.distillation import teacher as read_teacher
from components.train.distributed.cluster import WorkerTask
from components.train.loop import feeds, fit
from components.train.memory_check import explained
from components.train.train_state import learner, network, resolve

if TYPE_CHECKING:
    from components.train.distributed.collectives import Exchange

LOST = ("Aborted", "Cancelled", "DeadlineExceeded", "Internal", "Unavailable", "Unknown")  # errors of TensorFlow


def main() -> None:
    parent, status = Parent(), 1
    try:
        parent.send(_run(cast("WorkerTask", parent.receive()), parent))
        status = 0
    except Exception:
        traceback.print_exc()
    os._exit(status)  # closing the connections properly would wait for workers that have ended


def _run(task: WorkerTask, parent: Parent) -> Message:
    """Do *task*; returns the last message."""
    if _is_taken(address := task["addresses"][task["number"]]):
        return {"taken": address}
    os.environ["GRPC_VERBOSITY"] = "NONE"  # the stage says in one sentence which worker ended
    tf = tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    try:
        return {"done": _train(task, parent)}
    except Failure as failure:
        return failure_message(failure)
    except tuple(getattr(tf.errors, f"{name}Error") for name in LOST) as error:
        return {"lost": _reason(error)}


def _reason(error: Exception) -> str:
    """Why a collective operation ended, in TensorFlow's words."""
    aborted = re.search(r"aborted by: (.+)", str(error))
    return (aborted[1] if aborted else str(error).partition("\n")[0]).strip().rstrip(".:")


def _is_taken(address: str) -> bool:
    """Whether another process listens there: TensorFlow's server would share the port with it."""
    port = int(address.rpartition(":")[2])
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("", port))
            listener.listen()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False


def _train(task: WorkerTask, parent: Parent) -> list[float]:
    """This worker's part in the training; returns the seconds of each epoch."""
    from components.train.distributed.collectives import Exchange

    with no_stderr():
        exchange = Exchange(task["addresses"], task["number"])
    normalize, params = Path(task["normalize"]), Train(**cast("dict[str, Any]", task["params"]))
    data = json.loads((normalize / "data.json").read_text())
    _compare(exchange, normalize, params)
    parent.send({"connected": True})
    seconds = _fit(exchange, data, normalize, params, task, parent)
    exchange.leave()
    return seconds


def _compare(exchange: "Exchange", normalize: Path, params: Train) -> None:
    """Raise ConfigError, in every worker, where they do not all train the same."""
    task = {
        "params": asdict(params),
        "precision": resolve(params),
        "data": (normalize / "data.json").read_text(),
    }
    digest = hashlib.sha256(
        json.dumps(task, sort_keys=True).encode() + (normalize / "train" / "labels.npy").read_bytes()
    ).hexdigest()
    others = int(exchange.total([exchange.chiefs_text(digest) != digest])[0])
    if others:
        raise ConfigError(
            f"{others} of {exchange.size} workers have other settings, images or arithmetic than the chief; start all "
            "with the same settings and source, and with --set train.precision=float32 where processors differ"
        )


def _fit(
    exchange: "Exchange", data: dict[str, Any], normalize: Path, params: Train, task: WorkerTask, parent: Parent
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
            return fit(
                mine, feed, held_out, work, logs, params, state, [agreement], lambda r: parent.send({"row": r[-1]})
            )
        mine.fit(feed, held_out, params, state, [agreement, *assisting(mine, params, state)])
    return []


if __name__ == "__main__":
    main()
