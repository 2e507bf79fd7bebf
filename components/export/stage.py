"""Export: the model in each chosen format, measured on the whole test split against the Keras model."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from components.artifact_files import Correct, FormatParity, Metrics, NormalizedData, Parity
from components.data.drawn_form import drawn_form
from components.data.splits import Labels, Split
from components.errors import ExportRejected
from components.export import labels
from components.export.benchmark import Measurement, benchmark
from components.export.canaries import write_canaries
from components.export.formats import format_of, served
from components.export.identity import Identity
from components.export.model_card import model_card
from components.export.model_info import description, model_info, write_model_info
from components.export.source import Source
from components.metrics import discordant
from components.models.prediction import Probabilities, keras_predictor, predict
from components.models.saving import read_model
from components.progress import say
from components.settings.sections import Export, words
from components.system.files import sha256_of_file

CHUNK = 2**20  # bytes of a file that are compressed at once

Facts = dict[str, float]


def export(
    normalize: Path, train: Path, evaluate: Path, out: Path, params: Export, identity: Identity
) -> dict[str, Facts]:
    """Write each of `params.formats` and measure it on the whole test split; to *out*

        saved_model/ model.tflite ...   the files, see components.export.writers
        labels.txt                      the class names in the order of the probabilities, a line each
        parity.json                     n, keras {correct, accuracy}, formats {name: {path, bytes, gzip_bytes, correct,
                                        accuracy, agree (images of the same class as by Keras), gained and lost (images
                                        that it, or Keras, alone has right), max_difference (in probability), zeros (of
                                        pruned: share of the weights that are 0)}}
        canaries.npz                    test images with the answers of the file that is served
        README.md                       the model card
        model_info.json                 all that a program needs to know to serve the files

    Facts: accuracy, bytes, gzip_bytes, and median_ms and p99_ms for one image on one thread, by format. Times differ
    from one run to the next, so they are in no file. Raises ExportRejected where the model has no such format.
    """
    model = read_model(train / "model.keras")
    _expect_float32(model)
    data: NormalizedData = json.loads((normalize / "data.json").read_bytes())
    test, names = Split(normalize / "test"), words(params.formats)
    about = description(identity, data)
    with TemporaryDirectory() as scratch:
        extras = _write(names, Source(model, train / "model.keras", normalize, Path(scratch), params, about), out)
    say(f"  comparing {len(names)} formats on {len(test):,} test images")
    reference = predict(keras_predictor(model), test, label="export: Keras")
    measured = _benchmark(names, out, normalize / "test")
    formats = {
        name: _parity(out / format_of(name).path, measured[name].probabilities, reference, test.labels, extras[name])
        for name in names
    }
    parity: Parity = {"n": len(test), "keras": _correct(reference, test.labels), "formats": formats}
    (out / "parity.json").write_text(json.dumps(parity, indent=2, sort_keys=True) + "\n")
    answers = measured[served(names)].probabilities if served(names) else reference
    write_canaries(test, answers, out / "canaries.npz")
    info = model_info(about, sha256_of_file(train / "model.keras"), drawn_form(Split(normalize / "train")), parity)
    (out / labels.FILE).write_text(labels.text(info["classes"]), encoding="utf-8")
    metrics: Metrics = json.loads((evaluate / "metrics.json").read_bytes())
    card = model_card(info, identity.commit, data, metrics, parity, out)
    (out / "README.md").write_text(card, encoding="utf-8")
    write_model_info(info, out)
    return {name: _facts(formats[name], measured[name]) for name in names}


def _write(names: Sequence[str], source: Source, out: Path) -> dict[str, Facts]:
    """Write every format; what each has to say about its file, by name."""
    extras = {}
    for name in names:
        form = format_of(name)
        say(f"  writing {form.path}")
        extras[name] = form.write(source, out / form.path) or {}
    return extras


def _expect_float32(model: Any) -> None:
    for layer in model.layers:
        if layer.compute_dtype != "float32":
            raise ExportRejected(
                f"layer {layer.name} of the model computes in {layer.compute_dtype}, which the exports cannot do; "
                "expected float32. Train again with --set train.precision=float32"
            )


def _gzip_bytes(file: Path) -> int:
    """The size of *file* under gzip -9, in the memory of a chunk."""
    compressor = zlib.compressobj(9, wbits=31)
    with file.open("rb") as stream:
        count = sum(len(compressor.compress(chunk)) for chunk in iter(lambda: stream.read(CHUNK), b""))
    return count + len(compressor.flush())


def _benchmark(names: Sequence[str], out: Path, test: Path) -> dict[str, Measurement]:
    """Predictions and times of each format: one process for each runtime."""
    measured: dict[str, Measurement] = {}
    for runtime in sorted({format_of(name).runtime for name in names}):
        group = [name for name in names if format_of(name).runtime == runtime]
        results = benchmark(runtime, [out / format_of(name).path for name in group], test)
        measured |= zip(group, results, strict=True)
    return measured


def _correct(probabilities: Probabilities, labels: Labels) -> Correct:
    correct = int((probabilities.argmax(axis=1) == labels).sum())
    return {"correct": correct, "accuracy": correct / len(labels)}


def _parity(
    path: Path, probabilities: Probabilities, reference: Probabilities, labels: Labels, extras: Facts
) -> FormatParity:
    """One exported file or folder against Keras; its size is that of all its files, gzip as a download would be."""
    files = [file for file in (path, *path.rglob("*")) if file.is_file()]
    correct = _correct(probabilities, labels)
    classes, of_keras = probabilities.argmax(axis=1), reference.argmax(axis=1)
    gained, lost = discordant(labels, classes, of_keras)
    measured: FormatParity = {
        "correct": correct["correct"],
        "accuracy": correct["accuracy"],
        "path": path.name,
        "bytes": sum(file.stat().st_size for file in files),
        "gzip_bytes": sum(map(_gzip_bytes, files)),
        "agree": int((classes == of_keras).sum()),
        "gained": gained,
        "lost": lost,
        # rounded, as threads may add up in another order from one time to the next
        "max_difference": float(f"{np.abs(probabilities - reference).max():.1e}"),
    }
    return cast(FormatParity, {**measured, **extras})


def _facts(measured: FormatParity, times: Measurement) -> Facts:
    return {
        "accuracy": measured["accuracy"],
        "bytes": measured["bytes"],
        "gzip_bytes": measured["gzip_bytes"],
        "median_ms": round(times.median_ms, 5),
        "p99_ms": round(times.p99_ms, 5),
    }
