"""Settings files of searches, and a stand-in for training where only what the study makes of figures is tested."""

from pathlib import Path
from typing import Any

from pipeline import config
from pipeline.tuning.plan import Plan, plan

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


def history(chosen: dict[str, Any], epochs: int = 3) -> list[dict[str, float]]:
    """What a training might come to: best at a learning rate of 0.01 and a dropout of 0.2."""
    skill = 1 / (1 + abs(chosen["train.learning_rate"] - 0.01) * 50 + abs(chosen["train.dropout"] - 0.2))
    rows = range(1, epochs + 1)
    return [{"epoch": e, "val_accuracy": skill * (1 - 0.5**e), "val_loss": 1 - skill * (1 - 0.5**e)} for e in rows]
