"""The MLflow side of a search: one run, and a child run for each trial that ended, identified by tags.

Everything is logged from the study, so a trial that ended while MLflow was away, or just before the search was killed,
is logged by the next call. Only the search imports MLflow; the processes that train do not.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from components.errors import RegistryUnreachable
from components.progress import say
from components.public_text import public
from components.registry.client import Registry, answering
from pipeline.home import Home
from pipeline.mlflow_run import experiment_id, log_batch
from pipeline.tuning.plan import Plan
from pipeline.tuning.study import Study, Trial
from pipeline.tuning.summary import words

SEARCH_TAG, TRIAL_TAG = "pipeline.search", "pipeline.trial"
PARENT_TAG = "mlflow.parentRunId"
STATUS = {"completed": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
MAX_RUNS = 50_000  # that MLflow returns for one request
MAX_PARAM, MAX_TAG = 500, 4000  # characters


class SearchTracking:
    """The MLflow side of one search; an MLflow that does not answer is reported once and not asked again.

    Raises ConfigError where nothing can be logged to it.
    """

    def __init__(self, home: Home, plan: Plan, study: Study) -> None:
        self._home, self._plan, self._study = home, plan, study
        self._registry = Registry(home.tracking_uri)
        with suppress(RegistryUnreachable):
            self._registry.expect_usable(plan.params.register.name, plan.params.register.experiment)
        self._away = False

    @property
    def run(self) -> str:
        """The run of the search, "" where MLflow was not reached."""
        return "" if self._away else self._run_id

    def log(self) -> None:
        """Log every trial that ended and is not logged yet."""
        self._reach(self._log_ended)

    def finish(self, status: str, *files: Path) -> None:
        """Log how the search ended: its best trial, and the *files* that it wrote."""
        if status != "FINISHED" and "_run_id" not in vars(self):  # before MLflow knew of it
            return
        self.log()
        self._reach(lambda: self._close(status, files))

    def _reach(self, act: Callable[[], None]) -> None:
        if self._away:
            return
        try:
            with answering(self._registry.uri):
                act()
        except RegistryUnreachable as error:
            self._away = True
            say(f"  warning: {str(error).partition(';')[0]}; the next call logs these trials")

    def _close(self, status: str, files: Iterable[Path]) -> None:
        client, best = self._registry.client, self._study.best
        for file in files:
            client.log_artifact(self._run_id, str(file))
        if best and best.value is not None:
            client.log_metric(self._run_id, f"best_validation_{self._plan.tune.objective}", best.value)
            client.set_tag(self._run_id, "best_trial", str(best.number))
        client.set_terminated(self._run_id, status)

    @cached_property
    def _experiment(self) -> str:
        return experiment_id(self._registry, self._plan.params, self._home)

    @cached_property
    def _run_id(self) -> str:
        """The run of the search, the parent of those of its trials."""
        client, token = self._registry.client, self._study.token
        filter = f"tags.`{SEARCH_TAG}` = '{token}' AND tags.`{TRIAL_TAG}` = 'all'"
        if runs := client.search_runs([self._experiment], filter, max_results=1):
            client.update_run(runs[0].info.run_id, status="RUNNING")
            return str(runs[0].info.run_id)
        tags = {SEARCH_TAG: token, TRIAL_TAG: "all", "mlflow.note.content": "a search of python -m pipeline tune"}
        name = f"tune {self._study.name}"
        run = str(client.create_run(self._experiment, run_name=name, tags=tags).info.run_id)
        log_batch(client, run, [], dict(self._params()), {})
        return run

    def _params(self) -> Iterator[tuple[str, str]]:
        """The value of every setting, the range of a searched one."""
        space = self._plan.space
        for name, value in self._plan.settings({}).items():
            yield name, (words(space[name]) if name in space else str(public(value)))[:MAX_PARAM]

    @cached_property
    def _trials(self) -> dict[int, tuple[str, str]]:
        """Trial -> (run, its status), as far as they are in MLflow."""
        filter = f"tags.`{PARENT_TAG}` = '{self._run_id}'"
        runs = self._registry.client.search_runs([self._experiment], filter, max_results=MAX_RUNS)
        return {int(run.data.tags[TRIAL_TAG]): (run.info.run_id, run.info.status) for run in runs}

    def _log_ended(self) -> None:
        for trial in self._study.ended:
            run, status = self._trials.get(trial.number, ("", ""))
            if status not in STATUS.values():
                self._log(trial, run)

    def _log(self, trial: Trial, run: str) -> None:
        client, name = self._registry.client, f"{self._study.name} trial {trial.number}"
        tags = {PARENT_TAG: self._run_id, SEARCH_TAG: self._study.token, TRIAL_TAG: str(trial.number)}
        run = run or client.create_run(self._experiment, run_name=name, tags=tags).info.run_id
        params = {name: str(value)[:MAX_PARAM] for name, value in trial.chosen.items()}
        outcome = {"state": trial.state, "reason": trial.reason[:MAX_TAG], "train.key": trial.key}
        log_batch(client, run, list(_metrics(trial)), params, outcome)
        client.set_terminated(run, STATUS[trial.state])
        self._trials[trial.number] = (run, STATUS[trial.state])


def _metrics(trial: Trial) -> Iterator[tuple[str, float, int]]:
    """(name, value, epoch): the history, and the summary of a completed training."""
    for row in trial.history:
        yield from ((name, value, int(row["epoch"])) for name, value in row.items() if name != "epoch")
    yield from ((f"best_{name}", float(value), 0) for name, value in trial.summary.items())
