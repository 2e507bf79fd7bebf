"""What a run prints: a line per stage, and a summary at its end."""

import json
from contextlib import suppress

from components.artifact_files import MODEL_INFO, Metrics
from components.evaluate import baseline
from components.formatting import duration, percent, points, thousands
from components.printed_commands import with_interpreter
from components.registry.approval import OF_APPROVAL
from pipeline.commands import pipeline_command, run_command
from pipeline.graph import STAGES, Facts
from pipeline.home import Home
from pipeline.run_record import Done, Model, RunRecord
from pipeline.runner import Runner

# the other files of export's artifact
NOT_EXPORTS = ("README.md", "canaries.npz", "labels.txt", "manifest.json", MODEL_INFO, "parity.json")


def line(done: Done, facts: Facts) -> str:
    """ "[5/8] evaluate   made in 6.7 s    accuracy 99.34 % (99.16 to 99.48), baseline 11.35 %" """
    number = list(STAGES).index(done.stage) + 1
    what = f"made in {duration(done.seconds)}" if done.made else "reused"
    return f"[{number}/{len(STAGES)}] {done.stage:<10} {what:<20} {headline(done.stage, facts)}".rstrip()


def headline(stage: str, facts: Facts) -> str:
    """The figures of a stage that are worth a line."""
    if stage in ("ingest", "normalize"):
        images = [f"{thousands(n)} {split}" for split, n in sorted(facts["images"].items(), reverse=True)]
        return ", ".join([*images, *_corrections(facts)])
    if stage == "validate":
        duplicates = thousands(sum(facts["duplicates"].values()))
        return f"{thousands(facts['leaked'])} test images in training, {duplicates} duplicates"
    if stage == "train":
        accuracy = percent(facts["validation_accuracy"])
        return f"best epoch {facts['best_epoch']} of {facts['epochs']}, validation accuracy {accuracy}"
    if stage == "export":
        return ", ".join(f"{name} {measured['bytes'] / 1024:,.0f} KiB" for name, measured in facts.items())
    if STAGES[stage].effect:
        return facts.get("reason") or f"{facts['name']} version {facts['version']}"
    return str(facts["headline"])


def _corrections(facts: Facts) -> list[str]:
    count = _counted(facts.get("corrections", {}).get("applied", 0), "correction")
    return [f"{count} of labels"] if count else []


def numbers(facts: Facts) -> dict[str, float]:
    """The numbers among *facts*, those one level down named as in "test.accuracy"."""
    values: dict[str, object] = {}
    for name, value in facts.items():
        inner = value if isinstance(value, dict) else {"": value}
        values |= {f"{name}.{key}".rstrip("."): v for key, v in inner.items()}
    return {n: v for n, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def metrics(runner: Runner) -> Metrics | None:
    """metrics.json of the evaluation, None where the run did not get that far."""
    if "evaluate" not in runner.facts:
        return None
    measured: Metrics = json.loads((runner.artifact("evaluate").path / "metrics.json").read_bytes())
    return measured


def text(record: RunRecord, runner: Runner) -> str:
    """The last lines of a successful run: result, files, duration, and the next commands."""
    measured = metrics(runner)
    rows = [
        ("accuracy", _accuracy(measured)),
        ("gate", without_gate(record, measured)),
        ("model", _model(record.model)),
    ]
    export = runner.artifact("export").path if "export" in runner.facts else None
    if export:
        rows += [("exports", str(path)) for path in sorted(export.iterdir()) if path.name not in NOT_EXPORTS]
    rows += [("review", review(measured))]
    rows += [("report", record.report), ("stages", _stages(record))]
    rows += [("next", with_interpreter(command)) for command in next_commands(record, runner.home)]
    return _aligned([(name, value) for name, value in rows if value])


def _aligned(rows: list[tuple[str, str]]) -> str:
    """A line for each row, the name only where it differs from the one above."""
    width = max(len(name) for name, _ in rows) + 2
    lines, above = [], ""
    for name, value in rows:
        lines.append(f"{'' if name == above else name:<{width}}{value}")
        above = name
    return "\n".join(lines)


def _accuracy(measured: Metrics | None) -> str:
    if measured is None:
        return ""
    return (
        f"{percent(measured['accuracy'])} on {thousands(measured['n'])} test images (95 % interval "
        f"{points(measured['wilson_low'])} to {percent(measured['wilson_high'])}, "
        f"{thousands(measured['n'] - measured['correct'])} mistakes); always answering the most frequent class: "
        f"{percent(baseline.of(measured).accuracy)}"
    )


def without_gate(record: RunRecord, measured: Metrics | None) -> str:
    """Where no accuracy is required, the command that requires what was reached."""
    if measured is None or record.settings.get("gate.min_accuracy"):
        return ""
    command = f"{run_command(record)} --set gate.min_accuracy={baseline.gate_reached(measured):g}"
    return f"no accuracy is required; to require what was reached: {with_interpreter(command)}"


def review(measured: Metrics | None) -> str:
    """What a review would show: "12 suspected labels and 4 mistakes: make review"."""
    if measured is None:
        return ""
    suspects = sum(split["suspects"] for split in measured["suspects"].values())
    mistakes = measured["n"] - measured["correct"]
    shown = [_counted(suspects, "suspected label"), _counted(mistakes, "mistake")]
    return f"{' and '.join(filter(None, shown))}: make review" if suspects or mistakes else ""


def _counted(count: int, what: str) -> str:
    return f"{thousands(count)} {what}{'' if count == 1 else 's'}" if count else ""


def _model(model: Model) -> str:
    if not model:
        return ""
    aliases = ", ".join(f"@{alias}" for alias in model["aliases"]) or "no alias"
    return f"{model['name']} version {model['version']} ({aliases})"


def _stages(record: RunRecord) -> str:
    new = [f"{done.stage} {duration(done.seconds)}" for done in record.stages if done.made]
    reused = [done.stage for done in record.stages if not done.made]
    if not new:
        return f"nothing to do: all {len(reused)} reused, in {duration(record.seconds)}"
    parts = [f"made {', '.join(new)}", f"reused {', '.join(reused)}" if reused else ""]
    return "; ".join([*filter(None, parts), f"{duration(record.seconds)} in total"])


def next_commands(record: RunRecord, home: Home) -> list[str]:
    if not record.model:  # the run ended before register
        return [run_command(record)]
    commands = [pipeline_command("models"), "make mlflow", "make tensorboard"]
    if record.promotion.get("outcome") == "waiting":
        commands.insert(0, pipeline_command("promote", "--pending"))
    if "champion" in record.model.get("aliases", []) and _had_other_champion(record.model, home):
        commands.append(pipeline_command("rollback", "--name", record.model["name"]))
    return commands


def _had_other_champion(model: Model, home: Home) -> bool:
    """Whether the promotion log names another champion; read line by line, for the log's own types load msgspec."""
    lines = home.promotions.read_bytes().splitlines() if home.promotions.is_file() else []
    for line in lines:
        with suppress(ValueError):
            promotion = json.loads(line)
            moved = promotion["action"] not in OF_APPROVAL
            if moved and promotion["name"] == model["name"] and promotion["to"] != model["version"]:
                return True
    return False
