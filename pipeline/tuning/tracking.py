"""What MLflow knows of a search: one run, and a child run for each trial that ended, found again by their tags.

Everything is logged from the study, so a trial that ended while MLflow was away, or just before the search was killed,
is logged by the next call. MLflow is imported once, by the search; the trainings and their epochs know nothing of it.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path

from components.errors import RegistryUnreachable
from components.progress import say
from components.registry.client import Registry, answering
from pipeline.home import Home
from pipeline.tracking import experiment_id, log_batch
from pipeline.tuning.plan import Plan
from pipeline.tuning.study import Study, Trial
from pipeline.tuning.summary import words

SEARCH_TAG, TRIAL_TAG = "pipeline.search", "pipeline.trial"
PARENT_TAG = "mlflow.parentRunId"
ENDED = {"completed": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
MOST = 50_000  # runs that MLflow finds in one request


class Journal:
    """The MLflow side of one search; an MLflow that does not answer is told of once and waited for no more."""

    def __init__(self, home: Home, plan: Plan, study: Study) -> None:
        self._home, self._plan, self._study = home, plan, study
        self._registry = Registry(home.tracking_uri)
        self._away = False

    def log(self) -> None:
        """Log every trial that ended and is not logged yet."""
        if not self._away:
            self._reach(self._catch_up)

    def _catch_up(self) -> None:
        for trial in self._study.ended:
            if self._children.get(trial.number, "") not in ENDED.values():
                self._log(trial)

    def _reach(self, act: Callable[[], None]) -> None:
        try:
            with answering(self._registry.uri):
                act()
        except RegistryUnreachable as error:
            self._away = True
            say(f"  warning: {str(error).partition(';')[0]}; the next call logs these trials")

    @property
    def run(self) -> str:
        """The parent's run, "" where MLflow was not reached."""
        return "" if self._away else self.run_id

    def finish(self, state: str, *files: Path) -> None:
        """Log how the search ended: its best trial, and the *files* that it wrote."""
        if state == "KILLED" and "run_id" not in vars(self):  # too early for MLflow to know of it
            return
        self.log()
        if not self._away:
            self._reach(lambda: self._close(state, files))

    def _close(self, state: str, files: Iterable[Path]) -> None:
        client, best = self._registry.client, self._study.best
        for file in files:
            client.log_artifact(self.run_id, str(file))
        if best and best.value is not None:
            client.log_metric(self.run_id, f"best_validation_{self._plan.tune.objective}", best.value)
            client.set_tag(self.run_id, "best_trial", str(best.number))
        client.set_terminated(self.run_id, state)

    @cached_property
    def _experiment(self) -> str:
        return experiment_id(self._registry, self._plan.params, self._home)

    @cached_property
    def run_id(self) -> str:
        """The parent of the trials' runs."""
        client, study = self._registry.client, self._study
        filter = f"tags.`{SEARCH_TAG}` = '{study.token}' AND tags.`{TRIAL_TAG}` = 'all'"
        found = client.search_runs([self._experiment], filter, max_results=1)
        if found:
            client.update_run(found[0].info.run_id, status="RUNNING")
            return str(found[0].info.run_id)
        tags = {SEARCH_TAG: study.token, TRIAL_TAG: "all", "mlflow.note.content": "a search of python -m pipeline tune"}
        run = str(client.create_run(self._experiment, run_name=f"tune {study.name}", tags=tags).info.run_id)
        fixed = {n: str(v)[:500] for n, v in self._plan.settings({}).items() if n not in self._plan.space}
        log_batch(client, run, [], {**fixed, **{n: words(span)[:500] for n, span in self._plan.space.items()}}, {})
        return run

    @cached_property
    def _runs(self) -> dict[int, tuple[str, str]]:
        """Trial -> (run, its status), as far as they are in MLflow."""
        filter = f"tags.`{PARENT_TAG}` = '{self.run_id}'"
        found = self._registry.client.search_runs([self._experiment], filter, max_results=MOST)
        return {int(run.data.tags[TRIAL_TAG]): (run.info.run_id, run.info.status) for run in found}

    @property
    def _children(self) -> dict[int, str]:
        return {number: status for number, (_, status) in self._runs.items()}

    def _log(self, trial: Trial) -> None:
        client, name = self._registry.client, f"{self._study.name} trial {trial.number}"
        tags = {PARENT_TAG: self.run_id, SEARCH_TAG: self._study.token, TRIAL_TAG: str(trial.number)}
        run, _ = self._runs.get(trial.number, ("", ""))
        run = run or client.create_run(self._experiment, run_name=name, tags=tags).info.run_id
        told = {"state": trial.state, "reason": trial.reason[:4000], "train.key": trial.key}
        log_batch(client, run, list(_metrics(trial)), {n: str(v)[:500] for n, v in trial.chosen.items()}, told)
        client.set_terminated(run, ENDED[trial.state])
        self._runs[trial.number] = (run, ENDED[trial.state])


def _metrics(trial: Trial) -> Iterator[tuple[str, float, int]]:
    """(name, value, epoch): the history, and what the trial ended with."""
    for row in trial.history:
        yield from ((name, value, int(row["epoch"])) for name, value in row.items() if name != "epoch")
    yield from ((f"best_{name}", float(value), 0) for name, value in trial.summary.items())
