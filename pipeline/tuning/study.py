"""A study: the trials so far, in a file of Optuna's (https://optuna.org), and what may be resumed.

One search at a time holds the lock of a study, so a trial that its file calls running when a search begins belongs to a
process that died. It is put back into the queue under its number: it keeps its settings, and its training resumes after
its last finished epoch.
"""

import json
import secrets
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, TypedDict

from components.errors import ConfigError
from components.system.locks import is_locked
from pipeline.home import Home
from pipeline.store import recipe as keys
from pipeline.store.disk_errors import storage_errors
from pipeline.tuning.plan import Plan, Settings

if TYPE_CHECKING:
    import optuna
    from optuna.storages.journal import JournalStorage

OUTCOME = "outcome"  # name of an attribute of Optuna's trials
STATES = {"COMPLETE": "completed", "PRUNED": "pruned", "FAIL": "failed"}

History = list[dict[str, float]]


class Identity(TypedDict):
    """What may not change while a study is resumed: its search, and the recipe that its trainings have in common."""

    tune: dict[str, object]
    recipe: keys.Recipe


@dataclass(frozen=True)
class Outcome:
    """How a training ended."""

    key: str = ""  # of the training in the store
    history: History = field(default_factory=list)  # a row an epoch, as in history.csv; none if pruned when resumed
    summary: dict[str, float] = field(default_factory=dict)  # of summary.json; {} unless completed
    reason: str = ""  # why it failed or was pruned
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Trial(Outcome):
    """A trial that ended; *number* counts from 1, *chosen* are the searched settings."""

    number: int
    state: str  # completed, pruned or failed
    chosen: Settings
    value: float | None  # of the objective: at the best epoch, or at the last one where the trial was pruned
    epochs: int


class Study:
    """The trials of one search, as the process that holds its lock sees them."""

    def __init__(self, study: "optuna.Study", storage: "JournalStorage", plan: Plan) -> None:
        self._study, self._storage, self._objective, self.space = study, storage, plan.tune.objective, plan.space

    @property
    def name(self) -> str:
        return self._study.study_name

    @property
    def token(self) -> str:
        """Distinguishes this study from an earlier one of the same name."""
        return str(self._study.user_attrs["token"])

    # Trials whose process died

    def requeue(self, number: int = 0) -> int:
        """Queue trial *number*, or every running trial, to be resumed; returns how many these are."""
        from optuna.trial import TrialState

        trials = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        left = [trial for trial in trials if number in (0, trial.number + 1)]
        for trial in left:
            self._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
        return len(left)

    def fail(self, number: int, reason: str) -> None:
        """Record that the running trial *number* failed."""
        from optuna.trial import TrialState

        trial = self._study.get_trials(deepcopy=False)[number - 1]
        self._storage.set_trial_user_attr(trial._trial_id, OUTCOME, asdict(Outcome(reason=reason)))
        self._study.tell(trial.number, state=TrialState.FAIL)

    # Results

    @property
    def ended(self) -> list[Trial]:
        """The trials that ended, by number."""
        return [_trial(trial) for trial in self._study.get_trials(deepcopy=False) if trial.state.name in STATES]

    @property
    def counts(self) -> dict[str, int]:
        """How many trials ended in each state."""
        ends = [trial.state for trial in self.ended]
        return {state: ends.count(state) for state in STATES.values()}

    @property
    def ranking(self) -> list[Trial]:
        """The completed trials, the best first; of equal values that with the lowest validation loss."""
        completed = [trial for trial in self.ended if trial.state == "completed"]
        return sorted(completed, key=lambda trial: (self._cost(trial), trial.summary["validation_loss"], trial.number))

    @property
    def best(self) -> Trial | None:
        """The best completed trial, None while there is none."""
        return next(iter(self.ranking), None)

    def _cost(self, trial: Trial) -> float:
        assert trial.value is not None
        return -trial.value if self._objective == "accuracy" else trial.value

    def importances(self) -> dict[str, float]:
        """Share of each searched setting in the variation of the values, the largest first; {} while unknown.

        PED-ANOVA (Watanabe et al. 2023, arXiv:2304.10255), over completed trials.
        """
        from optuna.importance import get_param_importances

        values = {trial.value for trial in self.ended if trial.state == "completed"}
        return get_param_importances(self._study) if len(values) > 1 else {}


def _trial(frozen: "optuna.trial.FrozenTrial") -> Trial:
    last = list(frozen.intermediate_values.values())[-1:]
    value = frozen.value if frozen.state.name == "COMPLETE" else last[0] if last else None
    return Trial(
        **frozen.user_attrs.get(OUTCOME, {}),
        number=frozen.number + 1,
        state=STATES[frozen.state.name],
        chosen=frozen.params,
        value=value,
        epochs=len(frozen.intermediate_values),
    )


@contextmanager
def opened(home: Home, plan: Plan, recipe: keys.Recipe) -> Iterator[Study]:
    """The study of *plan*, created where there is none; *recipe* is what all its trainings have in common.

    Raises ConfigError where the study is open elsewhere, or was begun with another space, other settings, data or code:
    its values would not compare.
    """
    home.prepare()
    name, lock = plan.tune.study, f"tune-{plan.tune.study}"
    if is_locked(home.root / "locks" / lock):
        raise ConfigError(f"study {name} is being searched already; wait for it, or name another one with --study NAME")
    with home.lock(lock), storage_errors(home.root), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="optuna")  # its notes on its own experimental interfaces
        yield _load(home, plan, {"tune": _search(plan), "recipe": recipe})


def _load(home: Home, plan: Plan, identity: Identity) -> Study:
    import optuna

    from pipeline.tuning import journal

    name = plan.tune.study
    journal.prepare(home, name)
    storage = journal.open_journal(home, name)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize" if plan.tune.objective == "accuracy" else "minimize",
        load_if_exists=True,
    )
    if "identity" not in study.user_attrs:
        if plan.first:
            study.enqueue_trial(plan.first, skip_if_exists=True)
        study.set_user_attr("token", secrets.token_hex(8))
        study.set_user_attr("identity", identity)  # last: a study that has it is complete
    elif changes := _differences(study.user_attrs["identity"], identity):
        raise ConfigError(
            f"study {name} cannot be resumed, since its values would not compare ({'; '.join(changes)}); name another "
            f"one with --study NAME, or delete {journal.path(home, name)} to begin it again"
        )
    return Study(study, storage, plan)


def _search(plan: Plan) -> dict[str, object]:
    space = {f"the space of {name}": span.to_json() for name, span in plan.space.items()}
    return {"tune.objective": plan.tune.objective, "tune.seed": plan.tune.seed, **space}


def _differences(old: Identity, new: Identity) -> list[str]:
    changes = [*_changed(old["tune"], new["tune"])]
    return [*changes, *keys.differences(old["recipe"], new["recipe"])]


def _changed(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{name} {json.dumps(old.get(name))} -> {json.dumps(new.get(name))}"
