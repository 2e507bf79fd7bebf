"""python -m benchmarks.training [ROW...]: train the recipe of each row on MNIST, seed by seed, and keep the results.

Needs MNIST_DIR. The rows of one seed run one after the other, the tutorials' script among them, so that a busy machine
slows all. Nothing is measured twice, so it can be interrupted and resumed. The results are in
benchmarks/training.json, from which the tables of docs/training.md are generated (--table prints them).
"""

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.__main__ import interleaved, log, machine, pipeline, ratio, timed
from components.settings.sections import FORMATS
from tests.conftest import ROOT

RESULTS = Path(__file__).with_name("training.json")
HOME = ROOT / "bench-results" / "training"
TUTORIAL = "tutorial"
SEEDS = 5
IMAGES_OF_AN_EPOCH, ROUNDS = 10_000, 3


@dataclass(frozen=True)
class Row:
    """One recipe: a profile and settings, and about how many minutes a seed takes on two cores."""

    profile: str
    minutes: float
    settings: Sequence[str] = field(default=())
    teacher: str = ""  # the row whose model of the same seed it learns from

    @property
    def command(self) -> str:
        chosen = [*self.settings, *(["train.teacher=VERSION"] if self.teacher else [])]
        sets = " ".join(f"--set {setting}" for setting in chosen)
        return f"make pipeline CONFIG={self.profile}" + (f" ARGS='{sets}'" if sets else "")


RECIPES: dict[str, Row] = {
    TUTORIAL: Row("", 4),
    "fast": Row("fast", 0.7),
    "default": Row("default", 2.5),
    "tiny": Row("tiny", 5),
    "mobile": Row("mobile", 20),
    "best": Row("best", 40),
}


def changed(*settings: str, minutes: float = 2, **more: Any) -> Row:
    """The default recipe with *settings*."""
    return Row("default", minutes, settings, **more)


# The effect and the cost of each technique: the default recipe with one setting changed.
TECHNIQUES: dict[str, Row] = {
    "network: dense": changed("train.model=dense", minutes=1),
    "network: cnn": changed("train.model=cnn"),
    "network: vgg": changed("train.model=vgg", minutes=5),
    "network: resnet": changed("train.model=resnet", minutes=8),
    "network: attention": changed("train.model=attention", minutes=6),
    "twice as wide": changed("train.width=2", minutes=5),
    "half as wide": changed("train.width=0.5"),
    "no augmentation": changed("train.augment=none"),
    "rotation alone": changed("train.augment=rotate=10"),
    "shift alone": changed("train.augment=shift=0.07"),
    "zoom alone": changed("train.augment=zoom=0.1"),
    "shear alone": changed("train.augment=shear=10"),
    "elastic distortion alone": changed("train.augment=elastic=1"),
    "erasing alone": changed("train.augment=erase=0.2"),
    "all six kinds": changed("train.augment=rotate=10,shift=0.07,zoom=0.1,shear=5,elastic=1,erase=0.1"),
    "constant rate": changed("train.schedule=constant", "train.learning_rate=0.001"),
    "plateau": changed("train.schedule=plateau", "train.learning_rate=0.003", "train.patience=3"),
    "cosine with warm-up": changed("train.schedule=cosine", "train.warmup=1"),
    "AdamW": changed("train.optimizer=adamw", "train.weight_decay=0.01"),
    "SGD with momentum": changed("train.optimizer=sgd", "train.learning_rate=0.1"),
    "label smoothing": changed("train.label_smoothing=0.1"),
    "class weights": changed("train.class_weights=balanced"),
    "averaged weights": changed("train.ema=0.995"),
    "dropout": changed("train.dropout=0.4"),
    "L2": changed("train.l2=0.0001"),
    "batches of 512": changed("train.batch_size=512", "train.learning_rate=0.012"),
    "ensemble of 3": changed("train.members=3", minutes=7),
    "distilled from the default": changed("train.width=0.5", teacher="default"),
}
# Size, latency and accuracy of each exported file, for the network of the default recipe.
EXPORTS: dict[str, Row] = {"every format": changed(f"export.formats={','.join(FORMATS)}", minutes=4)}
ROWS = RECIPES | TECHNIQUES | EXPORTS


def measure_row(row: str, seed: int) -> dict[str, Any]:
    """Train the recipe *row* with *seed*; accuracies in shares of 1, seconds of the training alone."""
    if row == TUTORIAL:
        tutorial: dict[str, Any] = json.loads(
            timed("-m", "benchmarks.tutorial", os.environ["MNIST_DIR"], str(seed)).out
        )
        return tutorial
    # a technique is compared by its accuracy alone
    quick = ["evaluate.corruption_images=0"] if row in TECHNIQUES else []
    answer = _run(row, seed, "evaluate" if row in TECHNIQUES else "export", *quick)
    paths = {stage["stage"]: Path(stage["path"]) for stage in answer["stages"]}
    summary = json.loads((paths["train"] / "summary.json").read_text())
    facts = json.loads((paths["train"] / "manifest.json").read_text())["facts"]
    kept = ("validation_accuracy", "validation_loss", "epochs", "parameters")
    result = {"accuracy": answer["accuracy"], **{name: summary[name] for name in kept}}
    result |= {"seconds": facts["seconds"], "epoch_seconds": sum(facts["epoch_seconds"])}
    if row in RECIPES:
        small = _formats(paths["export"]).get("int8", {})
        result |= {"int8_bytes": small.get("bytes"), "int8_accuracy": small.get("accuracy")}
    return result | ({"formats": _formats(paths["export"])} if row in EXPORTS else {})


def _run(row: str, seed: int, last: str, *more: str) -> dict[str, Any]:
    """The result of the pipeline with the settings of *row* up to the stage *last*; a teacher is trained first."""
    chosen = [*ROWS[row].settings, f"train.seed={seed}", "gate.min_accuracy=0", "promote.automatic=false", *more]
    if teacher := ROWS[row].teacher:
        chosen.append(f"train.teacher={_run(teacher, seed, 'register')['model']['version']}")
    settings = [part for setting in chosen for part in ("--set", setting)]
    return pipeline(HOME, "--source", "mnist", "--config", ROWS[row].profile, *settings, "--until", last)[1]


def times(rounds: int, results: dict[str, Any]) -> None:
    """Measure the time of an epoch of each technique, relative to the default in the same round, and keep it.

    Not measured are ensembles, whose epoch is one of each member, and students, whose teacher has to be registered:
    for them the table has the time of whole trainings.
    """
    kinds = {name: row.settings for name, row in TECHNIQUES.items() if not row.teacher and "members" not in str(row)}
    log(f"{rounds} rounds of {len(kinds) + 1} epochs, about {0.15 * rounds * (len(kinds) + 1):.0f} minutes")
    seconds = interleaved({"default": [], **kinds}, rounds, IMAGES_OF_AN_EPOCH)
    results["times"] = {name: [round(r, 3) for r in ratio(seconds[name], seconds["default"])] for name in kinds}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _formats(export: Path) -> dict[str, dict[str, Any]]:
    """The measurements of each exported file."""
    known = json.loads((export / "parity.json").read_text())["formats"]
    facts = json.loads((export / "manifest.json").read_text())["facts"]
    return {name: known[name] | facts[name] for name in FORMATS if name in known}


def table(results: dict[str, Any]) -> str:
    """The table of recipes: mean and range over the seeds, mean time relative to the tutorials' of the same seeds."""
    head = "| recipe | command | test accuracy | validation | training | of the tutorials' | parameters | int8 file |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    base = results["rows"].get(TUTORIAL, {})
    lines += [_line(name, seeds, base) for name, seeds in results["rows"].items() if name in RECIPES]
    return "\n".join(lines)


def _line(name: str, seeds: dict[str, dict[str, Any]], base: dict[str, dict[str, Any]]) -> str:
    rows = list(seeds.values())
    command = f"`{ROWS[name].command}`" if name != TUTORIAL else "`python -m benchmarks.tutorial`"
    small = rows[0].get("int8_bytes")
    cells = [
        *(name, command, _percents([row["accuracy"] for row in rows])),
        f"{100 * statistics.mean(row['validation_accuracy'] for row in rows):.2f} %",
        f"{statistics.mean(row['seconds'] for row in rows):.0f} s",
        *(_ratio(seeds, base, "seconds"), f"{rows[0]['parameters']:,}", f"{small / 1000:.1f} kB" if small else ""),
    ]
    return f"| {' | '.join(cells)} |"


def techniques(results: dict[str, Any]) -> str:
    """The table of techniques: the default recipe, and the same with one setting changed."""
    lines = ["| default, but | settings | validation | its loss | test accuracy | time |", "|---|---|---|---|---|---|"]
    base = results["rows"].get("default", {})
    for name in ("default", *TECHNIQUES):
        if seeds := results["rows"].get(name):
            rows = list(seeds.values())
            teacher = [f"train.teacher={ROWS[name].teacher}"] if ROWS[name].teacher else []
            cells = [
                "nothing changed" if name == "default" else name,
                "<br>".join(f"`{setting}`" for setting in (*ROWS[name].settings, *teacher)),
                _percents([row["validation_accuracy"] for row in rows]),
                f"{statistics.mean(row['validation_loss'] for row in rows):.4f}",
                _percents([row["accuracy"] for row in rows]),
                _cost(results.get("times", {}).get(name))
                or _members(ROWS[name])
                or _ratio(seeds, base, "epoch_seconds"),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def formats(results: dict[str, Any]) -> str:
    """The table of exports: the network of the default recipe in every format."""
    head = "| format | size | under gzip | test accuracy | same class as Keras | one image, median | 99 of 100 within |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for seeds in (results["rows"].get(name, {}) for name in EXPORTS):
        for name, export in next(iter(seeds.values()), {"formats": {}})["formats"].items():
            sizes = [f"{export[kind] / 1000:.1f} kB" for kind in ("bytes", "gzip_bytes")]
            times = [f"{export[kind]:.3f} ms" for kind in ("median_ms", "p99_ms")]
            cells = [f"`{name}`", *sizes, f"{100 * export['accuracy']:.2f} %", f"{export['agree']:,}", *times]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratio(seeds: dict[str, dict[str, Any]], base: dict[str, dict[str, Any]], name: str) -> str:
    """The mean *name* of *seeds* by that of *base*, over the seeds that both have."""
    shared = [seed for seed in seeds if seed in base]
    return f"{sum(seeds[s][name] for s in shared) / sum(base[s][name] for s in shared):.2f}" if shared else ""


def _members(row: Row) -> str:
    """The number of epochs in an epoch of an ensemble; "" for other rows."""
    return next((f"{setting.partition('=')[2]}.00" for setting in row.settings if "members=" in setting), "")


def _cost(ratios: Sequence[float] | None) -> str:
    return f"{statistics.mean(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if ratios else ""


def _percents(shares: Sequence[float]) -> str:
    mean, low, high = (100 * f(shares) for f in (statistics.mean, min, max))
    return f"{mean:.2f} % ({low:.2f} to {high:.2f}, {len(shares)} seeds)" if len(shares) > 1 else f"{mean:.2f} %"


def main() -> None:
    arguments = argparse.ArgumentParser("python -m benchmarks.training", description=__doc__)
    arguments.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)}; default: all")
    arguments.add_argument("--techniques", action="store_true", help="the rows of the second table")
    arguments.add_argument("--seeds", type=int, default=SEEDS, help=f"number of seeds ({SEEDS})")
    arguments.add_argument("--again", action="store_true", help="repeat measurements")
    arguments.add_argument(
        "--times", action="store_true", help="measure the time of an epoch in the rows of the second table"
    )
    arguments.add_argument("--table", action="store_true", help="print the tables")
    options = arguments.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        raise SystemExit(f"there is no row {', '.join(unknown)}; expected some of {', '.join(ROWS)}")
    if options.times:
        _expect_mnist()
        times(ROUNDS, known())
    elif not options.table:
        rows = list(TECHNIQUES) if options.techniques else options.rows or list(ROWS)
        _measure(rows, options.seeds, options.again)
    print(table(known()), techniques(known()), formats(known()), sep="\n\n")


def known() -> dict[str, Any]:
    """All results so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": {}}


def _expect_mnist() -> None:
    if not os.environ.get("MNIST_DIR"):
        raise SystemExit("the measurements need MNIST: MNIST_DIR=FOLDER make bench-training")


def _measure(rows: Sequence[str], seeds: int, again: bool) -> None:
    _expect_mnist()
    results = known()
    wanted = [(seed, row) for seed in range(seeds) for row in rows]
    wanted = [(s, row) for s, row in wanted if again or str(s) not in results["rows"].get(row, {})]
    log(f"{len(wanted)} trainings, about {sum(ROWS[row].minutes for _, row in wanted):.0f} minutes on two cores")
    for seed, row in wanted:
        result = measure_row(row, seed)
        log(f"{row}, seed {seed}: {100 * result['accuracy']:.2f} % in {result['seconds']:.0f} s")
        results = known()  # another process may have written meanwhile
        results["rows"].setdefault(row, {})[str(seed)] = result
        results["rows"] = {name: results["rows"][name] for name in ROWS if name in results["rows"]}
        results["machine"] = machine()
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
