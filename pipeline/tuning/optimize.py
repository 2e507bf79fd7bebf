"""Run trials: Optuna chooses the settings, prunes at the end of an epoch, and records how each trial ended.

Every process of a search runs `optimize` on the same study. The sampler of a trial is seeded with the trial's number,
so a sequential search gives the same trials however often it is stopped; with parallel trials, completion order affects
later suggestions.

Method: a tree-structured Parzen estimator chooses (Bergstra et al. 2011, Algorithms for Hyper-Parameter Optimization),
the median stopping rule prunes (Golovin et al. 2017, Google Vizier).
"""

import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Protocol

import optuna
from optuna.trial import TrialState

from components.errors import PipelineError
from pipeline.home import Home
from pipeline.tuning.journal import FileLock, open_journal
from pipeline.tuning.plan import Choices, Plan, Settings, Space
from pipeline.tuning.study import OUTCOME, History, Outcome

BEGUN = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

Watch = Callable[[History], None]  # raises TrialPruned


class Train(Protocol):
    def __call__(self, chosen: Settings, watch: Watch) -> Outcome:
        """Train with the settings *chosen*, calling *watch* with the history after each epoch.

        What *watch* raises ends the training, whose outcome then has no summary. Raises PipelineError where it fails.
        """


def optimize(home: Home, plan: Plan, train: Train, notify: Callable[[str, int], None]) -> None:
    """Run trials until the study has as many as *plan* asks for.

    *notify* is called with "begun" or "ended" and the number of a trial. A process holds `turn` while it counts the
    trials and begins the next one, so that several processes together begin no trial too many.
    """
    tune = plan.tune
    pruner = optuna.pruners.MedianPruner(n_startup_trials=tune.startup, n_warmup_steps=tune.warmup)
    study = optuna.load_study(study_name=tune.study, storage=open_journal(home, tune.study), pruner=pruner)
    turn = FileLock(home.root / "locks" / f"tune-{tune.study}.turn")

    def objective(trial: optuna.Trial) -> float:
        turn.release()
        study.sampler = optuna.samplers.TPESampler(seed=zlib.crc32(f"{tune.seed}/{trial.number}".encode()))
        notify("begun", trial.number + 1)
        return _run(trial, plan, train)

    def ended(_: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        notify("ended", trial.number + 1)
        turn.acquire()

    turn.acquire()
    if len(study.get_trials(deepcopy=False, states=BEGUN)) < tune.trials:
        limit = optuna.study.MaxTrialsCallback(tune.trials, states=BEGUN)
        study.optimize(objective, catch=(PipelineError,), callbacks=[ended, limit])
    turn.release()


def _run(trial: optuna.Trial, plan: Plan, train: Train) -> float:
    """The objective's value; raises TrialPruned, or PipelineError where the training failed."""
    start, objective = time.monotonic(), plan.tune.objective

    def watch(history: History) -> None:
        _report(trial, history, objective)
        if trial.should_prune():
            raise optuna.TrialPruned("behind the median")

    failure, outcome = None, Outcome()
    try:
        outcome = train(_choose(trial, plan.space), watch)
    except PipelineError as error:
        failure, outcome = error, Outcome(reason=str(error))
    outcome = replace(outcome, seconds=round(time.monotonic() - start, 3))
    trial.set_user_attr(OUTCOME, asdict(outcome))
    if failure:
        raise failure
    if not outcome.summary:
        raise optuna.TrialPruned
    _report(trial, outcome.history, objective)  # nobody watched a training that was in the store already
    return outcome.summary[f"validation_{objective}"]


def _choose(trial: optuna.Trial, space: Space) -> Settings:
    """A value for every searched setting; a trial that is resumed keeps its own."""
    for name, span in space.items():
        if isinstance(span, Choices):
            trial.suggest_categorical(name, span.values)
        elif isinstance(span.low, int) and isinstance(span.high, int):
            trial.suggest_int(name, span.low, span.high, log=span.log)
        else:
            trial.suggest_float(name, span.low, span.high, log=span.log)
    return trial.params


def _report(trial: optuna.Trial, history: History, objective: str) -> None:
    known = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
    for row in history:
        if (step := int(row["epoch"]) - 1) not in known:
            trial.report(row[f"val_{objective}"], step)
