"""The search: hands trials to processes, hears of each epoch, gives up what falls behind, and tells what came of it.

Only validation images are seen: a trial's value is that of its best epoch on them, and the processes that train open no
file of the test split.
"""

import time
from typing import TYPE_CHECKING, Any

from components import errors
from components.progress import say
from pipeline.home import Home
from pipeline.runner import Runner
from pipeline.tuning.plan import Plan
from pipeline.tuning.study import Study, Trial
from pipeline.tuning.summary import line
from pipeline.tuning.tracking import Journal
from pipeline.tuning.worker_pool import Died, Worker, ending, ready, shares

if TYPE_CHECKING:
    import optuna

LIVES = 2  # a trial whose process died is tried once more


class Search:
    """One call's part of a study; *data* is a runner that has made and read the images that all trials see."""

    def __init__(self, plan: Plan, home: Home, study: Study, journal: Journal, data: Runner) -> None:
        self._plan, self._home, self._study, self._journal, self._data = plan, home, study, journal, data
        self._start = time.monotonic()
        self._running: dict[Worker, optuna.Trial] = {}
        self._begun = study.left_running()
        self._before = len(study.ended)
        self._deaths: dict[int, int] = {}

    def run(self) -> None:
        """Try until the study has its trials or the time is over; what is under way then is left for the next call."""
        tune = self._plan.tune
        count = max(0, min(tune.parallel, tune.trials - self._before))
        if count and self._begun:
            say(f"  going on with {len(self._begun)} that had begun when the last search ended")
        log = self._home.tuning / f"{self._study.name}.log"
        workers = [Worker(self._home, cores, log) for cores in shares(count)]
        with ending(workers):
            for worker in workers:
                worker.start()
                self._begin(worker)
            self._journal.log()  # imports MLflow while the workers import TensorFlow
            while self._running and not self._late:
                for worker in ready(list(self._running), self._seconds_left):
                    self._hear(worker)

    @property
    def _seconds_left(self) -> float | None:
        """Until the time is over; None where it never is."""
        budget = self._plan.tune.seconds
        return max(0.0, budget - (time.monotonic() - self._start)) if budget else None

    @property
    def _late(self) -> bool:
        return self._seconds_left == 0

    def _begin(self, worker: Worker) -> None:
        if self._begun:
            self._give(worker, self._begun.pop(0))
        elif len(self._study.ended) + len(self._running) < self._plan.tune.trials and not self._late:
            self._give(worker, self._study.begin())

    def _give(self, worker: Worker, trial: "optuna.Trial") -> None:
        self._running[worker] = trial
        worker.send(
            {
                "run": f"{self._study.name} trial {trial.number + 1}",
                "settings": self._plan.settings(trial.params),
                "fingerprint": self._data.fingerprint,
                "sound": [self._data.digest("normalize")],
                "given_up": bool(trial.should_prune()),  # of a search that was killed before it could say so
            }
        )

    def _hear(self, worker: Worker) -> None:
        trial = self._running[worker]
        try:
            message = worker.receive()
        except Died as death:
            self._died(worker, trial, str(death))
            return
        if "error" in message:
            kind: type[errors.Unavailable] = getattr(errors, message["error"])
            raise kind(message["text"])
        if "state" in message:
            self._end(worker, **message)
        else:
            worker.send({"prune": self._study.judge(trial, message["history"])})

    def _died(self, worker: Worker, trial: "optuna.Trial", how: str) -> None:
        self._deaths[trial.number] = deaths = self._deaths.get(trial.number, 0) + 1
        say(f"  trial {trial.number + 1}: {how}; {worker.log} tells more")
        worker.start()
        if deaths < LIVES:
            self._give(worker, trial)
        else:
            self._end(worker, "failed", reason=f"{how}, {LIVES} times; {worker.log} tells more")

    def _end(self, worker: Worker, state: str, **told: Any) -> None:
        trial = self._running.pop(worker)
        if state == "completed":  # taken from the store, nobody watched it
            self._study.judge(trial, told["history"])
        ended = self._study.end(trial, state, told)
        self._begin(worker)
        say(line(ended, self._study.best, self._plan.tune, self._left(ended)))
        self._journal.log()

    def _left(self, ended: Trial) -> float:
        """Seconds until the search ends, by what its trials took so far."""
        done = len(self._study.ended)
        each = (time.monotonic() - self._start) / (done - self._before)
        left = each * (self._plan.tune.trials - done)
        return left if self._seconds_left is None else min(left, self._seconds_left)
