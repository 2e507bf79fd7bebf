"""Settings files of searches, and a stand-in for training where only what the study makes of its figures is tested."""

from pathlib import Path
from typing import Any

from optuna import TrialPruned

from pipeline import config
from pipeline.tuning.optimize import Watch
from pipeline.tuning.plan import Plan, Settings, plan
from pipeline.tuning.study import History, Outcome

SPACE = """
"train.learning_rate" = {low = 1e-4, high = 1e-1, log = true}
"train.dropout" = {low = 0, high = 0.6}
"train.batch_size" = {choices = [32, 64]}
"""


def settings_file(folder: Path, space: str = SPACE, tune: str = "", more: str = "", name: str = "search") -> Path:
    file = folder / f"{name}.toml"
    file.write_text(f'[ingest]\nsource = "digits"\n{more}\n[tune]\n{tune}\n[tune.space]\n{space}\n')
    return file


def planned(file: Path, *overrides: str, **options: Any) -> Plan:
    return plan(str(file), overrides, options, lambda: config.load(str(file), overrides, "", {}))


class Killed(BaseException):
    """The process that trains dies: no code of the search runs any more."""


class FakeTraining:
    """Trains to made-up figures, the best at a learning rate of 0.01 and a dropout of 0.2.

    The process dies after *stops[i]* epochs of its training i, and not in those for which there is no such number.
    """

    def __init__(self, *stops: int) -> None:
        self._stops = list(stops)

    def __call__(self, chosen: Settings, watch: Watch) -> Outcome:
        stop = self._stops.pop(0) if self._stops else 99
        rows = history(chosen)
        for epoch in range(len(rows) + 1):
            if epoch > stop:
                raise Killed
            try:
                watch(rows[:epoch])
            except TrialPruned as pruned:
                return Outcome("k", rows[:epoch], reason=str(pruned))
        last = rows[-1]
        summary = {"validation_accuracy": last["val_accuracy"], "validation_loss": last["val_loss"]}
        return Outcome("k", rows, summary)


def history(chosen: Settings, epochs: int = 3) -> History:
    rate, dropout = float(chosen["train.learning_rate"]), float(chosen["train.dropout"])
    skill = 1 / (1 + abs(rate - 0.01) * 50 + abs(dropout - 0.2))
    rows = range(1, epochs + 1)
    return [{"epoch": e, "val_accuracy": skill * (1 - 0.5**e), "val_loss": 1 - skill * (1 - 0.5**e)} for e in rows]
