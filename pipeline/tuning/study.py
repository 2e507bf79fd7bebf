"""What was tried so far, in a file of Optuna's (https://optuna.org), and what to try next.

One process has a study open at a time, so a trial that the file calls running belonged to a process that died. It is
gone on with as the same trial: its settings are kept, its training goes on from its last finished epoch. As what is
tried next is drawn with a seed of the trial's own number, a search that tries one at a time comes to the same trials
however often it is stopped; of several at a time, the order in which they end has a say.

Method: a tree-structured Parzen estimator (Bergstra et al. 2011, Algorithms for Hyper-Parameter Optimization) chooses,
the median stopping rule (Golovin et al. 2017, Google Vizier) gives up.
"""

import json
import secrets
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import ConfigError, StorageFailed
from pipeline.home import Home, is_locked
from pipeline.store import recipe as keys
from pipeline.tuning.plan import Plan, Range, Tune

if TYPE_CHECKING:
    import optuna

SECONDS = 5  # to wait for a database that somebody else has locked
STATES = {"COMPLETE": "completed", "PRUNED": "pruned", "FAIL": "failed"}

History = list[dict[str, float]]


@dataclass(frozen=True)
class Trial:
    """A trial that ended; *number* counts from 1, *chosen* are the searched settings."""

    number: int
    state: str  # completed, pruned or failed
    chosen: dict[str, Any]
    value: float | None  # of the objective: of the best epoch, or of the last one where it was pruned
    epochs: int
    history: History  # a row an epoch, as in history.csv; of a trial given up in a search that was killed, nothing
    summary: dict[str, Any]  # validation_accuracy, validation_loss, best_epoch, parameters; {} unless completed
    key: str = ""  # of its training in the store
    reason: str = ""  # why it failed or was given up
    seconds: float = 0.0


class Study:
    """The trials of one search. Anything that is wrong with its file is a StorageFailed that names it."""

    def __init__(self, study: "optuna.Study", plan: Plan) -> None:
        self._study, self._tune, self.space = study, plan.tune, plan.space

    @property
    def name(self) -> str:
        return self._study.study_name

    @property
    def token(self) -> str:
        """What tells this study from an earlier one of the same name."""
        return str(self._study.user_attrs["token"])

    # Trying

    def left_running(self) -> "list[optuna.Trial]":
        """The trials of a search that died, to be gone on with."""
        from optuna import Trial as Running

        found = [trial for trial in self._study.get_trials(deepcopy=False) if trial.state.name == "RUNNING"]
        trials = []
        for trial in found:
            self._sample_for(trial.number)
            trials.append(self._suggested(Running(self._study, trial._trial_id)))
        return trials

    def begin(self) -> "optuna.Trial":
        """The next trial, with its settings chosen."""
        self._sample_for(len(self._study.get_trials(deepcopy=False)))
        return self._suggested(self._study.ask())

    def _sample_for(self, number: int) -> None:
        from optuna.samplers import TPESampler

        self._study.sampler = TPESampler(seed=zlib.crc32(f"{self._tune.seed}/{number}".encode()))

    def _suggested(self, trial: "optuna.Trial") -> "optuna.Trial":
        """*trial* with a value for every searched setting; those that it has already stay."""
        for name, span in self.space.items():
            if not isinstance(span, Range):
                trial.suggest_categorical(name, span.values)
            elif isinstance(span.low, int) and isinstance(span.high, int):
                trial.suggest_int(name, span.low, span.high, log=span.log)
            else:
                trial.suggest_float(name, span.low, span.high, log=span.log)
        return trial

    def judge(self, trial: "optuna.Trial", history: History) -> bool:
        """Take down the epochs so far; whether to give the trial up."""
        known = self._study.get_trials(deepcopy=False)[trial.number].intermediate_values
        column = f"val_{self._tune.objective}"
        for row in history:
            if (step := int(row["epoch"]) - 1) not in known:
                trial.report(row[column], step)
        return bool(trial.should_prune())  # NumPy's, of some pruners

    def end(self, trial: "optuna.Trial", state: str, told: dict[str, Any]) -> Trial:
        """Take down how *trial* ended: *state* as in Trial, *told* what else is to be kept of it."""
        from optuna.trial import TrialState

        trial.set_user_attr("told", told)  # first: nothing can be added to a trial that has ended
        value = told["summary"][f"validation_{self._tune.objective}"] if state == "completed" else None
        ends = {name: TrialState[optunas] for optunas, name in STATES.items()}
        return _trial(self._study.tell(trial, value, ends[state]))

    # What came of it

    @property
    def ended(self) -> list[Trial]:
        """The trials that ended, in the order of their numbers."""
        return [_trial(trial) for trial in self._study.get_trials(deepcopy=False) if trial.state.name in STATES]

    @property
    def counts(self) -> dict[str, int]:
        """How many trials ended in each way."""
        ends = [trial.state for trial in self.ended]
        return {state: ends.count(state) for state in STATES.values()}

    @property
    def ranking(self) -> list[Trial]:
        """The completed trials, the best first; of equal values the lowest validation loss."""
        completed = [trial for trial in self.ended if trial.state == "completed"]
        return sorted(completed, key=lambda t: (self._worse(t), t.summary["validation_loss"], t.number))

    @property
    def best(self) -> Trial | None:
        """The best trial that was completed, None while there is none."""
        return next(iter(self.ranking), None)

    def _worse(self, trial: Trial) -> float:
        assert trial.value is not None
        return -trial.value if self._tune.objective == "accuracy" else trial.value

    def importances(self) -> dict[str, float]:
        """Share of each searched setting in how much the values differ, the largest first; {} while that is not known.

        PED-ANOVA (Watanabe et al. 2023, arXiv:2304.10255), on completed trials.
        """
        from optuna.importance import get_param_importances

        values = {trial.value for trial in self.ended if trial.state == "completed"}
        return get_param_importances(self._study) if len(values) > 1 else {}


def _trial(frozen: "optuna.trial.FrozenTrial") -> Trial:
    last = list(frozen.intermediate_values.values())[-1:]
    value = frozen.value if frozen.state.name == "COMPLETE" else last[0] if last else None
    told = {"history": [], "summary": {}, **frozen.user_attrs.get("told", {})}
    epochs = len(frozen.intermediate_values)
    return Trial(frozen.number + 1, STATES[frozen.state.name], frozen.params, value, epochs, **told)


@contextmanager
def opened(home: Home, name: str, plan: Plan, recipe: keys.Recipe) -> Iterator[Study]:
    """The study *name*, begun where there is none; *recipe* is what all its trainings have in common.

    Raises ConfigError where the study is open elsewhere, or was begun with another space, other settings, images or
    code: values that were come by in different ways do not compare.
    """
    home.prepare()
    lock, file = f"tune-{name}", home.tuning / f"{name}.db"
    if is_locked(home.root / "locks" / lock):
        raise ConfigError(f"study {name} is being searched already; wait for it, or name another one with --study NAME")
    file.parent.mkdir(exist_ok=True)
    with home.lock(lock), _usable(file), _storage(file) as storage:
        study = _load(storage, name, plan.tune)
        identity = {"tune": _asked(plan), "recipe": recipe}
        if "identity" not in study.user_attrs:
            if plan.first:
                study.enqueue_trial(plan.first, skip_if_exists=True)
            study.set_user_attr("token", secrets.token_hex(8))
            study.set_user_attr("identity", identity)  # last: a study that has it is whole
        elif found := _differences(study.user_attrs["identity"], identity):
            raise ConfigError(
                f"study {name} was begun otherwise ({'; '.join(found)}) and its values would not compare; name another "
                f"one with --study NAME, or delete {file} to begin it anew"
            )
        yield Study(study, plan)


@contextmanager
def _storage(file: Path) -> Iterator["optuna.storages.RDBStorage"]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it announces each trial, and so do we
    storage = optuna.storages.RDBStorage(f"sqlite:///{file}", {"connect_args": {"timeout": SECONDS}})
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _load(storage: "optuna.storages.RDBStorage", name: str, tune: Tune) -> "optuna.Study":
    import optuna

    return optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize" if tune.objective == "accuracy" else "minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=tune.startup, n_warmup_steps=tune.warmup),
        load_if_exists=True,
    )


def _asked(plan: Plan) -> dict[str, Any]:
    """What may not change while a study goes on, by the names that people know."""
    space = {f"the space of {name}": asdict(span) for name, span in plan.space.items()}
    asked = {"tune.objective": plan.tune.objective, "tune.seed": plan.tune.seed, **space}
    return dict(json.loads(json.dumps(asked)))  # a tuple comes back from the file as a list


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    before, after = old["tune"], new["tune"]
    changed = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    told = [f"{name} {json.dumps(before.get(name))} -> {json.dumps(after.get(name))}" for name in changed]
    return [*told, *keys.differences(old["recipe"], new["recipe"])]


@contextmanager
def _usable(file: Path) -> Iterator[None]:
    """Turn what Optuna says of its database into a StorageFailed; keep its notes on its own interfaces from people."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="optuna")
            yield
    except (StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ or error
        reason = str(getattr(cause, "orig", cause)).splitlines()[0]
        raise StorageFailed(
            f"the study {file} cannot be used ({reason}); close what else has it open, or move it away to begin anew"
        ) from error
