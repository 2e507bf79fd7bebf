"""A process that runs one trial after the other, so that TensorFlow is imported once: python -m ...trial_worker

    search -> worker    {"plan", "fingerprint", "corrections", "verified", "cores"}    once
    worker -> search    {"begun": 3}  {"ended": 3}                      for each trial
                        {"done": true}                                  no trial is left to begin
                        {"error", "text"}                               what a later call may succeed in

Dying at any moment is harmless, as it is for a run: the training resumes after its last finished epoch.
"""

import contextlib
import csv
import json
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from optuna import TrialPruned

from components.errors import ModelRejected, PipelineError, Unavailable
from components.system.processes import Parent, failure_message
from components.system.tensorflow import tensorflow, use_threads
from pipeline import config
from pipeline.graph import ancestors
from pipeline.home import Home
from pipeline.run_record import RunRecord, now
from pipeline.runner import Runner
from pipeline.store.artifact import Artifact
from pipeline.store.recipe import key
from pipeline.tuning.optimize import Watch, optimize
from pipeline.tuning.plan import Plan, Settings, from_json
from pipeline.tuning.study import History, Outcome

SUMMARY = ("validation_accuracy", "validation_loss", "best_epoch", "epochs", "parameters")


def main() -> None:
    parent = Parent()
    message = parent.receive()
    plan, home = from_json(message["plan"]), Home.from_environment()
    keep_to(message["cores"], plan.params.train.threads)
    training = Training(plan, home, message["fingerprint"], message["corrections"], message["verified"], parent)
    optimize(home, plan, training, lambda event, number: parent.send({event: number}))
    parent.send({"done": True})


def keep_to(cores: Sequence[int], threads: int) -> None:
    """Compute on *cores* alone, in *threads* threads; on all cores where none is named.

    TensorFlow starts its threads first, and they are moved then.
    """
    use_threads(threads)
    if not cores:
        return
    tensorflow().config.list_logical_devices()
    for thread in os.listdir("/proc/self/task"):  # noqa: PTH208 (names are wanted)
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread), cores)


@dataclass(frozen=True)
class Training:
    """The trainings of a plan, on images that the search has verified.

    After a bug, or a failure of something outside the trial, the process ends by SystemExit: Optuna leaves the trial
    running, to be resumed, where it would record another exception as the failure of the trial.
    """

    plan: Plan
    home: Home
    fingerprint: str
    corrections: str  # their digest
    verified: Sequence[str]
    parent: Parent

    def __call__(self, chosen: Settings, watch: Watch) -> Outcome:
        try:
            return self._train(chosen, watch)
        except PipelineError:
            raise
        except Unavailable as error:
            self.parent.send(failure_message(error))
            sys.exit(1)
        except Exception:
            traceback.print_exc()
            sys.exit(1)
        finally:
            if keras := sys.modules.get("keras"):
                keras.utils.clear_session()

    def _train(self, chosen: Settings, watch: Watch) -> Outcome:
        seen: History = []

        def watched(history: History) -> None:
            seen[:] = history
            watch(history)

        params = config.complete(self.plan.settings(chosen))
        record = RunRecord(f"tune {self.plan.tune.study}", now(), params.ingest.source)
        runner = Runner(params, self.home, record, verified=self.verified, watch=watched)
        runner.fingerprint, runner.corrections_digest = self.fingerprint, self.corrections
        for stage in ancestors("train"):  # in the store already, unless the trial has another image size
            runner.run_stage(stage)
        name = key(runner.recipe("train"))
        try:
            watch([])  # prunes what a search that was killed could not prune any more
            runner.run_stage("train")
            return Outcome(name, *_results(runner.artifact("train")))
        except (TrialPruned, ModelRejected) as error:
            self.home.clear_work("train", name)
            return Outcome(name, seen, reason=str(error).partition(";")[0])


def _results(train: Artifact) -> tuple[History, dict[str, float]]:
    """history.csv and what is kept of summary.json."""
    with (train.path / "history.csv").open(newline="") as file:
        history = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    summary = json.loads((train.path / "summary.json").read_bytes())
    return history, {name: summary[name] for name in SUMMARY}


if __name__ == "__main__":
    main()
