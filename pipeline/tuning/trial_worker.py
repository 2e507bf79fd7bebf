"""A process that does one trial after the other, so that TensorFlow is imported once.

    python -m pipeline.tuning.trial_worker [CORES]    such as 0,2: the cores to keep to

    search -> worker    {"run", "settings", "fingerprint", "sound", "given_up"}: a trial, as a line of JSON
    worker -> search    {"history": [...]} after each epoch, answered by {"prune": true or false}
    worker -> search    {"state", "key", "history", "summary", "reason", "seconds"}: how it ended
                        {"error", "text"}: what a later call may cure; the trial is left as it is

It ends when its standard input does: nobody waits for a result whose search was killed. Dying at any moment is
harmless, as it is for a run: the training goes on from its last finished epoch.
"""

import contextlib
import csv
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, Any

from components.errors import ModelRejected, PipelineError, Unavailable
from components.system.tensorflow import tensorflow
from pipeline import config
from pipeline.graph import ancestors
from pipeline.home import Home
from pipeline.run_record import RunRecord, now
from pipeline.runner import Runner
from pipeline.store.artifact import Artifact
from pipeline.store.recipe import key

SUMMARY = ("validation_accuracy", "validation_loss", "best_epoch", "epochs", "parameters")

Message = dict[str, Any]


class Pruned(Exception):
    """The search gave the trial up."""


class Line:
    """The two pipes to the search."""

    def __init__(self, said: IO[str], heard: IO[str]) -> None:
        self._said, self._heard = said, heard
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for text in self._heard:
            self._messages.put(json.loads(text))
        os._exit(0)  # from under the training, which no one waits for

    def say(self, message: Message) -> None:
        self._said.write(json.dumps(message) + "\n")
        self._said.flush()

    def hear(self) -> Message:
        return self._messages.get()

    def watch(self, history: list[dict[str, float]]) -> None:
        self.say({"history": history})
        if self.hear()["prune"]:
            raise Pruned


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the search ends its workers itself
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    line = Line(said, sys.stdin)
    if cores := sys.argv[1:]:
        keep_to({int(core) for core in cores[0].split(",")})
    while True:
        line.say(trial(line.hear(), line.watch))
        if keras := sys.modules.get("keras"):
            keras.utils.clear_session()


def keep_to(cores: set[int]) -> None:
    """Compute on *cores* alone, in as many threads as on all of them.

    With fewer threads TensorFlow would add its numbers up in another order, and equal settings and seed would come to
    other bytes than in a run. So it counts the cores first, and its threads are moved then.
    """
    tensorflow().config.list_logical_devices()
    for thread in os.listdir("/proc/self/task"):  # noqa: PTH208 (names are wanted)
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread), cores)


def trial(job: Message, watch: Callable[[list[dict[str, float]]], None]) -> Message:
    """Do one trial; returns how it ended."""
    start = time.monotonic()
    try:
        ended = _train(job, watch)
    except Unavailable as error:
        return {"error": type(error).__name__, "text": str(error)}
    except PipelineError as error:
        ended = {"state": "failed", "reason": str(error)}
    return {**ended, "seconds": round(time.monotonic() - start, 3)}


def _train(job: Message, watch: Callable[[list[dict[str, float]]], None]) -> Message:
    params, home = config.complete(job["settings"]), Home.from_environment()
    record = RunRecord(job["run"], now(), params.ingest.source)
    seen: list[dict[str, float]] = []

    def watched(history: list[dict[str, float]]) -> None:
        seen[:] = history
        watch(history)

    runner = Runner(params, home, record, verified=job["sound"], watch=watched)
    runner.fingerprint = job["fingerprint"]
    for stage in ancestors("train"):  # there already, but where a trial asks for images of another size
        runner.run_stage(stage)
    name = key(runner.recipe("train"))
    try:
        if job["given_up"]:
            raise Pruned
        runner.run_stage("train")
        return {"state": "completed", "key": name, **_facts(runner.artifact("train"))}
    except (Pruned, ModelRejected) as error:
        home.clear_work("train", name)
        reason = str(error).partition(";")[0] or "behind the median"
        return {"state": "pruned", "key": name, "history": seen, "reason": reason}


def _facts(train: Artifact) -> Message:
    with (train.path / "history.csv").open(newline="") as file:
        history = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    summary = json.loads((train.path / "summary.json").read_bytes())
    return {"history": history, "summary": {name: summary[name] for name in SUMMARY}}


if __name__ == "__main__":
    main()
