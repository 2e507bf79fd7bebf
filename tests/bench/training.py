"""python -m tests.bench.training [ROW...]: train each row's recipe on MNIST, seed by seed, and keep what came out.

Needs MNIST_DIR. The rows of one seed run one after the other, the tutorials' script among them, so that a busy machine
is busy for all; what was measured is not measured again, so it can be stopped and called again. The results are kept
in tests/bench/training.json, which the README's table is made from (--table prints it).
"""

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.__main__ import machine, pipeline, tell, timed
from tests.conftest import ROOT

RESULTS = Path(__file__).with_name("training.json")
HOME = ROOT / "bench-results" / "training"
TUTORIAL = "tutorial"
SEEDS = 5


@dataclass(frozen=True)
class Row:
    """One recipe: a profile and settings, and about how many minutes a seed takes on two cores."""

    profile: str
    minutes: float
    settings: Sequence[str] = field(default=())

    @property
    def command(self) -> str:
        chosen = "".join(f" --set {setting}" for setting in self.settings)
        return f"make pipeline CONFIG={self.profile}" + (f" ARGS='{chosen.strip()}'" if chosen else "")


ROWS: dict[str, Row] = {
    TUTORIAL: Row("", 4),
    "fast": Row("fast", 0.5),
    "default": Row("default", 2),
    "tiny": Row("tiny", 4),
    "mobile": Row("mobile", 5),
    "best": Row("best", 20),
}


def measured(row: str, seed: int) -> dict[str, Any]:
    """Train the recipe *row* with *seed*; accuracies in shares of 1, seconds of the training alone."""
    if row == TUTORIAL:
        found: dict[str, Any] = json.loads(timed("-m", "tests.bench.tutorial", os.environ["MNIST_DIR"], str(seed)).out)
        return found
    chosen = [part for setting in ROWS[row].settings for part in ("--set", setting)]
    fixed = ["--source", "mnist", "--config", ROWS[row].profile, "--set", f"train.seed={seed}"]
    free = ["--set", "gate.min_accuracy=0", "--set", "promote.automatic=false"]
    _, answer = pipeline(HOME, *fixed, *chosen, *free, "--until", "export")
    paths = {stage["stage"]: Path(stage["path"]) for stage in answer["stages"]}
    summary = json.loads((paths["train"] / "summary.json").read_text())
    formats = json.loads((paths["export"] / "parity.json").read_text())["formats"]
    return {
        "accuracy": answer["accuracy"],
        "validation_accuracy": summary["validation_accuracy"],
        "seconds": json.loads((paths["train"] / "manifest.json").read_text())["facts"]["seconds"],
        "epochs": summary["epochs"],
        "parameters": summary["parameters"],
        "int8_bytes": formats.get("int8", {}).get("bytes"),
        "int8_accuracy": formats.get("int8", {}).get("accuracy"),
    }


def table(found: dict[str, Any]) -> str:
    """The README's table: mean and range over the seeds, time as a ratio to the tutorials' of the same seeds."""
    head = "| recipe | command | test accuracy | validation | training | of the tutorials' | parameters | int8 file |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    base = found["rows"].get(TUTORIAL, {})
    for name, seeds in found["rows"].items():
        lines.append(_line(name, seeds, base))
    return "\n".join(lines)


def _line(name: str, seeds: dict[str, dict[str, Any]], base: dict[str, dict[str, Any]]) -> str:
    rows = list(seeds.values())
    shared = [seed for seed in seeds if seed in base]
    ratio = f"{statistics.mean(seeds[s]['seconds'] / base[s]['seconds'] for s in shared):.2f}" if shared else ""
    command = f"`{ROWS[name].command}`" if name != TUTORIAL else "`python -m tests.bench.tutorial`"
    small = rows[0].get("int8_bytes")
    cells = [
        *(name, command, _percents([row["accuracy"] for row in rows])),
        f"{100 * statistics.mean(row['validation_accuracy'] for row in rows):.2f} %",
        f"{statistics.mean(row['seconds'] for row in rows):.0f} s",
        *(ratio, f"{rows[0]['parameters']:,}", f"{small / 1000:.1f} kB" if small else ""),
    ]
    return f"| {' | '.join(cells)} |"


def _percents(shares: Sequence[float]) -> str:
    mean, low, high = (100 * f(shares) for f in (statistics.mean, min, max))
    return f"{mean:.2f} % ({low:.2f} to {high:.2f}, {len(shares)} seeds)" if len(shares) > 1 else f"{mean:.2f} %"


def main() -> None:
    arguments = argparse.ArgumentParser("python -m tests.bench.training", description=__doc__)
    arguments.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)}; all, where none is named")
    arguments.add_argument("--seeds", type=int, default=SEEDS, help=f"how many seeds each ({SEEDS})")
    arguments.add_argument("--again", action="store_true", help="measure what was measured before, too")
    arguments.add_argument("--table", action="store_true", help="print the table of what was measured")
    options = arguments.parse_args()
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": {}}
    if unknown := set(options.rows) - set(ROWS):
        raise SystemExit(f"no row is called {', '.join(unknown)}; expected some of {', '.join(ROWS)}")
    if not options.table:
        _measure(found, options.rows or list(ROWS), options.seeds, options.again)
    print(table(found))


def _measure(found: dict[str, Any], rows: Sequence[str], seeds: int, again: bool) -> None:
    if not os.environ.get("MNIST_DIR"):
        raise SystemExit("the measurements need MNIST: MNIST_DIR=FOLDER make bench-training")
    wanted = [(seed, row) for seed in range(seeds) for row in rows]
    wanted = [(s, row) for s, row in wanted if again or str(s) not in found["rows"].get(row, {})]
    tell(f"{len(wanted)} trainings, about {sum(ROWS[row].minutes for _, row in wanted):.0f} minutes on two cores")
    for seed, row in wanted:
        result = measured(row, seed)
        tell(f"{row}, seed {seed}: {100 * result['accuracy']:.2f} % in {result['seconds']:.0f} s")
        found["rows"].setdefault(row, {})[str(seed)] = result
        found["rows"] = {name: found["rows"][name] for name in ROWS if name in found["rows"]}
        found["machine"] = machine()
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
