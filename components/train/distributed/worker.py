"""One worker of a distributed training: python -m components.train.distributed.worker, started by the launcher.

launcher -> worker   {"task", "addresses", "number"}: WorkerMessage
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
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, TypedDict, cast

from components.artifact_files import HistoryRow
from components.data.input_pipeline import Share
from components.errors import ConfigError, Failure
from components.system.memory import available
from components.system.processes import Message, Parent, failure_message
from components.system.streams import no_stderr
from components.system.tensorflow import tensorflow, use_threads
from components.train import checkpoint
from components.train.callbacks import as_callback
from components.train.distillation import read_teacher
from components.train.loop import Inputs, fit, input_pipelines, report_resumption, run_epochs
from components.train.memory_check import explained
from components.train.network import untrained_network
from components.train.phases import PhasedTraining, applied
from components.train.task import Task, TaskMessage
from components.train.weights import initialize

if TYPE_CHECKING:
    from components.train.distributed.collectives import Collectives

LOST = ("Aborted", "Cancelled", "DeadlineExceeded", "Internal", "Unavailable", "Unknown")  # errors of TensorFlow


class WorkerMessage(TypedDict):
    task: TaskMessage
    addresses: list[str]  # HOST:PORT of each worker, by number
    number: int


def main() -> None:
    parent, status = Parent(), 1
    try:
        parent.send(_run(cast("WorkerMessage", parent.receive()), parent))
        status = 0
    except Exception:
        traceback.print_exc()
    os._exit(status)  # closing the connections properly would wait for workers that have ended


def _run(message: WorkerMessage, parent: Parent) -> Message:
    """Do the task; returns the last message."""
    if _is_taken(address := message["addresses"][message["number"]]):
        return {"taken": address}
    os.environ["GRPC_VERBOSITY"] = "NONE"  # the stage says in one sentence which worker ended
    tf = tensorflow()
    use_threads(message["task"]["params"]["threads"])
    try:
        return {"done": _train(message, parent)}
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


def _train(message: WorkerMessage, parent: Parent) -> list[float]:
    """This worker's part in the training; returns the seconds of each epoch."""
    from components.train.distributed.collectives import Collectives

    with no_stderr():
        collectives = Collectives(message["addresses"], message["number"])
    task = Task.from_message(message["task"])
    _compare(collectives, task)
    parent.send({"connected": True})
    seconds = _run_epochs(collectives, task, parent)
    collectives.leave()
    return seconds


def _compare(collectives: "Collectives", task: Task) -> None:
    """Raise ConfigError, in every worker, where they do not all train the same."""
    same = {
        "params": asdict(task.params),
        "data": (task.normalize / "data.json").read_text(),
    }
    labels = (task.normalize / "train" / "labels.npy").read_bytes()
    sha256 = hashlib.sha256(json.dumps(same, sort_keys=True).encode() + labels).hexdigest()
    others = int(collectives.sum([collectives.broadcast_text(sha256) != sha256])[0])
    if others:
        raise ConfigError(
            f"{others} of {collectives.size} workers have other settings, images or arithmetic than the chief; start "
            f"all with the same settings and source, and with --set train.precision=float32 --set train.threads="
            f"{task.params.threads} where processors differ"
        )


def _run_epochs(collectives: "Collectives", task: Task, parent: Parent) -> list[float]:
    import keras

    from components.train.distributed.replica import DistributedModel

    keras.utils.set_random_seed(task.params.seed)
    network = untrained_network(task.data, task.params, task.params.precision)
    initialized = initialize(network, task.weights, task.params, task.data["classes"])
    task = replace(task, params=applied(task.params, initialized))
    model = DistributedModel(network, collectives, task.params)
    teacher = read_teacher(task.teacher, task.data["shape"], task.data["classes"]) if task.teacher else None
    inputs = input_pipelines(task, teacher, Share(collectives.number, collectives.size))
    training = PhasedTraining(model, task.params, initialized, inputs.training.steps)
    local = training.restore(task.work) if collectives.is_chief else checkpoint.no_progress()
    progress = _of_chief(collectives, local)
    if collectives.is_chief:
        report_resumption(task, progress)
    else:
        training.resume(progress)
    with explained(model, math.ceil(task.params.batch_size / collectives.size), available()):
        return _run_phases(collectives, training, task, inputs, progress, parent)


def _run_phases(
    collectives: "Collectives",
    training: PhasedTraining,
    task: Task,
    inputs: Inputs,
    progress: checkpoint.Progress,
    parent: Parent,
) -> list[float]:
    """Train all phases; returns the seconds of each epoch, [] where this worker is not the chief."""
    from components.train.distributed.replica import Synchronization, assistant_callbacks

    seconds: list[float] = []
    for phase in training.remaining(progress):
        state = training.state
        progress.update(_of_chief(collectives, progress))  # the others keep no history
        first = as_callback(Synchronization(collectives, state.variables, inputs.validation.measured))
        if collectives.is_chief:
            report = partial(_send_last, parent)
            seconds += run_epochs(task, state, inputs, progress, report, [first], end=phase.end)
        else:
            callbacks = assistant_callbacks(task, state, progress)
            fit(task, state, inputs, progress, [first, *callbacks], end=phase.end)
    return seconds


def _send_last(parent: Parent, rows: list[HistoryRow]) -> None:
    parent.send({"row": rows[-1]})


def _of_chief(collectives: "Collectives", progress: checkpoint.Progress) -> checkpoint.Progress:
    chiefs: checkpoint.Progress = json.loads(collectives.broadcast_text(json.dumps(progress)))
    return chiefs


if __name__ == "__main__":
    main()
