"""Export: the model in every format asked for, each file measured on the whole test split against the Keras model."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from components.errors import ExportRejected
from components.export.budgets import over_budget
from components.export.check import disagrees, loses
from components.export.formats import FORMATS, Source
from components.findings import Finding
from components.settings.sections import Export, Gate, words

if TYPE_CHECKING:  # the check runs on every run with nothing to do: it must not load NumPy
    from components.export.benchmark import Answer, Probabilities

REJECTION = ExportRejected


def export(normalize: Path, train: Path, out: Path, params: Export) -> dict[str, dict[str, float]]:
    """Write each of `params.formats` and measure it on the whole test split; to *out*

        saved_model/ model.tflite ...   the files, see components.export.formats
        parity.json                     n, keras {correct, accuracy}, formats {name: {path, bytes, gzip_bytes, correct,
                                        accuracy, agree (images of the same class as by Keras), max_difference (in
                                        probability), zeros (of pruned: share of the weights that are 0)}}

    Facts: accuracy, bytes, gzip_bytes, and median_ms and p99_ms for one image on one thread, by format. Times differ
    from one run to the next, so they are in no file. Raises ExportRejected where the model has no such format.
    """
    from components.data.splits import Split
    from components.models.saving import read_model
    from components.progress import say

    model = read_model(train / "model.keras")
    _expect_float32(model)
    test = Split(normalize / "test")
    formats: dict[str, dict[str, Any]] = {}
    with TemporaryDirectory() as scratch:
        source = Source(model, train / "model.keras", normalize, Path(scratch), params)
        for name in words(params.formats):
            say(f"  writing {FORMATS[name].path}")
            told = FORMATS[name].write(source, out / FORMATS[name].path)
            formats[name] = {"path": FORMATS[name].path} | _sizes(out / FORMATS[name].path) | (told or {})
    say(f"  asking {len(formats)} formats about {len(test):,} test images")
    reference, answers = _keras(model, test), _answers(formats, out, normalize / "test")
    for name, answer in answers.items():
        formats[name] |= _measure(answer.probabilities, reference, test.labels)
    parity = {"n": len(test), "keras": _correct(reference, test.labels), "formats": formats}
    (out / "parity.json").write_text(json.dumps(parity, indent=2, sort_keys=True) + "\n")
    return {name: _facts(formats[name], answers[name]) for name in formats}


def _expect_float32(model: Any) -> None:
    for layer in model.layers:
        if layer.compute_dtype != "float32":
            raise ExportRejected(
                f"layer {layer.name} of the model computes in {layer.compute_dtype}, which the exports cannot do; "
                "expected float32. Train again with --set train.precision=float32"
            )


def _sizes(path: Path) -> dict[str, int]:
    """The size of a file, or of all files of a folder, as it is and compressed as a download would be."""
    import gzip

    contents = [file.read_bytes() for file in (path, *path.rglob("*")) if file.is_file()]
    return {
        "bytes": sum(map(len, contents)),
        "gzip_bytes": sum(len(gzip.compress(content, 9, mtime=0)) for content in contents),
    }


def _keras(model: Any, test: Any) -> "Probabilities":
    import numpy as np

    return np.concatenate([model.predict_on_batch(images) for images, _ in test.blocks(1000, "export: Keras")])


def _answers(formats: dict[str, Any], out: Path, test: Path) -> "dict[str, Answer]":
    """What each format says of the split *test*: one process for each runtime."""
    from components.export.benchmark import ask

    answers: dict[str, Answer] = {}
    for runtime in sorted({FORMATS[name].runtime for name in formats}):
        names = [name for name in formats if FORMATS[name].runtime == runtime]
        given = ask(runtime, [out / FORMATS[name].path for name in names], test)
        answers |= dict(zip(names, given, strict=True))
    return answers


def _correct(probabilities: "Probabilities", labels: Any) -> dict[str, Any]:
    correct = int((probabilities.argmax(axis=1) == labels).sum())
    return {"correct": correct, "accuracy": correct / len(labels)}


def _measure(probabilities: "Probabilities", reference: "Probabilities", labels: Any) -> dict[str, Any]:
    agree = int((probabilities.argmax(axis=1) == reference.argmax(axis=1)).sum())
    # rounded, as threads may add up in another order from one time to the next
    difference = float(f"{abs(probabilities - reference).max():.1e}")
    return _correct(probabilities, labels) | {"agree": agree, "max_difference": difference}


def _facts(measured: dict[str, Any], answer: "Answer") -> dict[str, float]:
    of_file = {key: measured[key] for key in ("accuracy", "bytes", "gzip_bytes")}
    return of_file | {"median_ms": round(answer.median_ms, 5), "p99_ms": round(answer.p99_ms, 5)}


def check(export: Path, gate: Gate, facts: dict[str, dict[str, float]]) -> list[Finding]:
    """An error for each format that is not what the Keras model computes, by the measure that fits it, and for each
    budget that the format `gate.budget_format` exceeds; *facts* is what `export` returned when it wrote the files.
    """
    parity = json.loads((export / "parity.json").read_text())
    findings: list[Finding] = []
    for name, measured in parity["formats"].items():
        if FORMATS[name].exact:
            findings += disagrees(measured, parity["n"])
        else:
            findings += loses(name, measured, parity["keras"]["correct"], parity["n"], gate.max_export_loss)
    return findings + over_budget(facts, gate)
