"""The search: starts the processes that run trials, reports each trial that ended, and replaces a process that died.

Only validation images are used: the value of a trial is that of its best epoch on them, and the processes that train
open no file of the test split.
"""

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import IO

from components.errors import Unavailable
from components.progress import say
from components.system.processes import Child, raise_failure, ready
from pipeline.home import Home
from pipeline.runner import Runner
from pipeline.tuning.plan import Plan
from pipeline.tuning.study import Study
from pipeline.tuning.summary import line
from pipeline.tuning.tracking import SearchTracking

ATTEMPTS = 2  # a trial whose process died is tried once more


class Worker(Child):
    """A process of pipeline.tuning.trial_worker; what it prints goes to *log*."""

    def __init__(self, home: Home, job: Mapping[str, object], cores: Sequence[int], log: IO[bytes]) -> None:
        super().__init__("pipeline.tuning.trial_worker", environment={"PIPELINE_HOME": str(home.root)}, stderr=log)
        self.cores, self.trial = cores, 0  # the number of the trial that it runs, 0 for none
        self.send({**job, "cores": cores})


class Search:
    """One call's part of a study; *data* is a runner that has made and verified the images that all trials see."""

    def __init__(self, plan: Plan, home: Home, study: Study, tracking: SearchTracking, data: Runner) -> None:
        self._plan, self._home, self._study, self._tracking = plan, home, study, tracking
        verified = [data.digest("normalize")]
        images = {"fingerprint": data.fingerprint, "corrections": data.corrections_digest}
        self._job = {"plan": plan.to_json(), **images, "verified": verified}
        self._log_path = home.tuning / f"{study.name}.log"
        self._start, self._before = time.monotonic(), len(study.ended)
        self._workers: list[Worker] = []
        self._deaths = Counter[int]()

    def run(self) -> None:
        """Run trials until the study is complete or time is up; running trials are left for the next call."""
        tune = self._plan.tune
        count = max(0, min(tune.parallel, tune.trials - self._before))
        if (resumed := self._study.requeue()) and count:
            say(f"  resuming {resumed} unfinished trial{'' if resumed == 1 else 's'}")
        with ExitStack() as stack, self._log_path.open("ab") as log:
            stack.callback(self._end)
            self._workers = [Worker(self._home, self._job, cores, log) for cores in core_shares(count)]
            self._tracking.log()  # imports MLflow while the workers import TensorFlow
            while self._workers and self._seconds_left != 0:
                for worker in ready(self._workers, self._seconds_left):
                    self._receive(worker, log)
                if not self._workers and self._study.requeue():  # of a process that died before it named its trial
                    self._workers.append(Worker(self._home, self._job, [], log))

    @property
    def _seconds_left(self) -> float | None:
        """Until the time limit; None without one."""
        limit = self._plan.tune.seconds
        return max(0.0, limit - (time.monotonic() - self._start)) if limit else None

    def _receive(self, worker: Worker, log: IO[bytes]) -> None:
        message = worker.receive()
        if message is None:
            self._replace(worker, log)
            return
        raise_failure(message)
        worker.trial = message.get("begun", 0)
        if worker.trial:
            del self._deaths[0]
        if "ended" in message:
            self._report(message["ended"])
        elif "done" in message:
            self._remove(worker)

    def _replace(self, worker: Worker, log: IO[bytes]) -> None:
        """Start another process for *worker*, which died, to try its trial once more."""
        how, number = f"its process {worker.ending()}", worker.trial
        self._remove(worker)
        self._deaths[number] += 1
        if self._deaths[number] < ATTEMPTS:
            say(f"  {f'trial {number}' if number else 'a trial that had not begun'}: {how}; see {self._log_path}")
            if number:
                self._study.requeue(number)
        elif number:
            self._study.fail(number, f"{how}, {ATTEMPTS} times; see {self._log_path}")
            self._report(number)
        else:
            raise Unavailable(f"no trial can begin: {how}, {ATTEMPTS} times; see {self._log_path}")
        self._workers.append(Worker(self._home, self._job, worker.cores, log))

    def _remove(self, worker: Worker) -> None:
        self._workers.remove(worker)
        worker.end()

    def _end(self) -> None:
        for worker in self._workers:
            worker.end()

    def _report(self, number: int) -> None:
        ended = next(trial for trial in self._study.ended if trial.number == number)
        say(line(ended, self._study.best, self._plan.tune, self._remaining()))
        self._tracking.log()

    def _remaining(self) -> float:
        """Seconds until the search ends, estimated from its trials so far."""
        done = len(self._study.ended)
        per_trial = (time.monotonic() - self._start) / (done - self._before)
        estimate = per_trial * (self._plan.tune.trials - done)
        return estimate if self._seconds_left is None else min(estimate, self._seconds_left)


def core_shares(count: int) -> list[list[int]]:
    """The cores of each of *count* processes; [], for all, with one process or where they cannot be restricted."""
    if count < 2 or not hasattr(os, "sched_setaffinity"):
        return [[]] * count
    cores = sorted(os.sched_getaffinity(0))
    return [cores[i % len(cores) :: count] for i in range(count)]
