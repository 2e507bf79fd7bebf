"""Train: the same seed gives the same bytes, whatever interrupts it."""

import csv
import hashlib
import json
import math
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components import resume
from components.archive import read_model
from components.callbacks import Divergence
from components.errors import ModelRejected
from components.params import Train
from components.splits import Split, SplitWriter
from components.train import resolve, train

# Keras hands NumPy 2 a tensor whose __array__ knows no `copy`; theirs to mend
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

SMALL: dict[str, Any] = {
    "model": "dense",
    "batch_size": 16,
    "epochs": 5,
    "dropout": 0.3,
    "shift": 0.1,
    "rotate": 5.0,
    "zoom": 0.1,
    "learning_rate": 0.01,
}


def write_normalized(folder: Path, images: int = 96) -> Path:
    """What the stage normalize leaves: three splits of 8x8 images in which class k has a bright row k, and noise."""
    random = np.random.default_rng(0)
    for part in ("train", "validation", "test"):
        labels = np.arange(images) % 4
        pixels = random.integers(0, 120, (images, 8, 8, 1))
        pixels[np.arange(images), labels * 2] += 100
        with SplitWriter(folder / part, (8, 8, 1)) as split:
            split.add(pixels.astype(np.uint8), labels)
    data = {"classes": ["a", "b", "c", "d"], "shape": [8, 8, 1], "mean": [0.3], "std": [0.2]}
    (folder / "data.json").write_text(json.dumps(data))
    return folder


@pytest.fixture(scope="session")
def normalized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_normalized(tmp_path_factory.mktemp("normalize"))


def folders(folder: Path) -> tuple[Path, Path, Path]:
    """out, work and logs under *folder*, made where they are not there."""
    for name in ("out", "work", "logs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder / "out", folder / "work", folder / "logs"


def run(normalized: Path, folder: Path, **settings: Any) -> dict[str, Any]:
    """Train into folder/out, with folder/work and folder/logs beside it."""
    return train(normalized, *folders(folder), params=Train(**(SMALL | settings)))


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((folder / "out").iterdir())}


CHILD = """
import json, sys
from pathlib import Path
from components.params import Train
from components.train import train
train(*map(Path, sys.argv[1:5]), params=Train(**json.loads(sys.argv[5])))
"""


def child(normalized: Path, folder: Path, **settings: Any) -> "subprocess.Popen[str]":
    """What `run` does, in a process of its own."""
    paths = map(str, (normalized, *folders(folder)))
    command = [sys.executable, "-c", CHILD, *paths, json.dumps(SMALL | settings)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_killed_and_started_again_it_writes_the_bytes_of_an_undisturbed_training(
    normalized: Path, tmp_path: Path
) -> None:
    """kill -9 in the third epoch, then again: every file equals that of another process, which was left in peace."""
    run(normalized, tmp_path / "undisturbed", model="cnn")

    killed = child(normalized, tmp_path / "killed", model="cnn")
    assert killed.stderr
    while not (line := killed.stderr.readline()).startswith("  epoch 2/5"):
        assert line, "it ended before its second epoch"
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    killed.stderr.close()
    assert not any((tmp_path / "killed/out").iterdir())

    again = child(normalized, tmp_path / "killed", model="cnn")
    _, told = again.communicate()
    assert again.returncode == 0, told
    assert "of 5 is done already" in told
    assert "epoch 1/5" not in told
    assert digests(tmp_path / "killed") == digests(tmp_path / "undisturbed")


@pytest.fixture(scope="module")
def undisturbed(normalized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    run(normalized, folder)
    return folder


def interrupted(function: Callable[..., Any], at: int, *, leaving_half: str | None = None) -> Callable[..., Any]:
    """*function*, whose call number *at* is the last thing that the training does; it may leave half a file behind.

    KeyboardInterrupt stands for any end here: nothing of what the process held lives on in the next training.
    """
    calls = 0

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        result = function(*arguments, **options)
        if calls == at:
            if leaving_half:
                [path] = Path.cwd().rglob(leaving_half)
                os.truncate(path, path.stat().st_size // 2)
            raise KeyboardInterrupt
        return result

    return call


MOMENTS = {
    "in an epoch": ("components.callbacks.Narrator.on_train_batch_end", 15, None),
    "while the best weights are written": ("keras.Model.save_weights", 2, "best.weights.h5"),
    "while the state is written": ("numpy.savez", 2, "state.npz.part"),
    "after the last epoch": ("components.resume.save", 5, None),
    "while the model is written": ("components.train.write_model", 1, "model.keras"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_wherever_a_training_ends_the_next_one_completes_it(
    normalized: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """A training cut off at any moment, files half-written, is completed with the bytes of an undisturbed one."""
    target, at, half = MOMENTS[moment]
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(target, interrupted(pkgutil.resolve_name(target), at, leaving_half=half))
        with pytest.raises(KeyboardInterrupt):
            run(normalized, tmp_path)
    run(normalized, tmp_path)
    assert digests(tmp_path) == digests(undisturbed)


def test_an_unreadable_state_is_told_and_training_starts_again(
    normalized: Path, undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged state file costs the epochs done so far, and is told; it never changes the result."""
    run(normalized, tmp_path)
    os.truncate(tmp_path / "work/state.npz", 5000)
    capsys.readouterr()
    run(normalized, tmp_path)
    assert "state.npz cannot be read" in capsys.readouterr().err
    assert digests(tmp_path) == digests(undisturbed)


def history(folder: Path) -> list[dict[str, float]]:
    with (folder / "out/history.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_early_stopping_and_the_schedule_remember_across_a_resume(
    normalized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one epoch of waiting done before the cut, the rate falls and training stops when they would have."""
    settings = {
        "epochs": 12,
        "patience": 3,
        "learning_rate": 0.5,
        "dropout": 0.0,
        "rotate": 0.0,
        "shift": 0.0,
        "zoom": 0.0,
    }
    run(normalized, tmp_path / "whole", **settings)
    whole = history(tmp_path / "whole")
    assert len(whole) < 12
    assert whole[-1]["learning_rate"] < whole[0]["learning_rate"]

    for at in range(1, len(whole)):
        with monkeypatch.context() as patch:
            patch.setattr(resume, "save", interrupted(resume.save, at))
            with pytest.raises(KeyboardInterrupt):
                run(normalized, tmp_path / "cut", **settings)
    run(normalized, tmp_path / "cut", **settings)
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")


def test_a_training_that_stopped_early_is_not_taken_up_again(normalized: Path, tmp_path: Path) -> None:
    """A state that says "stopped" is the end, though epochs are left."""
    run(normalized, tmp_path, epochs=12, patience=1, learning_rate=0.5)
    before = digests(tmp_path)
    facts = run(normalized, tmp_path, epochs=12, patience=1, learning_rate=0.5)
    assert facts["epoch_seconds"] == []
    assert digests(tmp_path) == before


def test_a_loss_that_is_no_number_rejects_the_model(normalized: Path, tmp_path: Path) -> None:
    """A loss of nan ends the training within its epoch, with the epoch, the value and what to change."""
    data = json.loads((normalized / "data.json").read_text())
    broken = tmp_path / "normalize"
    shutil.copytree(normalized, broken)
    (broken / "data.json").write_text(json.dumps(data | {"mean": [math.nan]}))
    with pytest.raises(ModelRejected, match=r"epoch 1: loss is nan; lower train.learning_rate \(0.01 now\)"):
        run(broken, tmp_path)
    assert not list((tmp_path / "work").iterdir())


def test_a_validation_loss_that_is_no_number_rejects_the_model() -> None:
    """Also where only the validation loss is lost, before its weights could be kept as the best."""
    judge = Divergence(0.5)
    judge.on_epoch_begin(2, {})
    with pytest.raises(ModelRejected, match="epoch 3: val_loss is inf"):
        judge.on_epoch_end(2, {"val_loss": math.inf})


def test_the_artifact_holds_what_its_readers_need(normalized: Path, undisturbed: Path) -> None:
    """The best epoch's weights, a row per epoch, and a summary that agrees with both."""
    out = undisturbed / "out"
    assert sorted(path.name for path in out.iterdir()) == ["history.csv", "model.keras", "summary.json"]
    summary, rows = json.loads((out / "summary.json").read_text()), history(undisturbed)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5][: summary["epochs"]]
    assert summary["best_epoch"] == min(rows, key=lambda row: row["val_loss"])["epoch"]

    held_out = Split(normalized / "validation")
    probabilities = read_model(out / "model.keras").predict(held_out.images(), verbose=0)
    assert probabilities.dtype == np.float32
    accuracy = (probabilities.argmax(1) == held_out.labels).mean()
    assert accuracy == pytest.approx(summary["validation_accuracy"], abs=1e-6)
    assert accuracy > 0.9


def test_bfloat16_trains_and_its_model_answers_in_float32(normalized: Path, tmp_path: Path) -> None:
    """Mixed precision ends in a model whose probabilities are float32 and sum to one, and leaves no policy behind."""
    run(normalized, tmp_path, model="cnn", precision="mixed_bfloat16", epochs=1)
    import keras

    assert keras.config.dtype_policy().name == "float32"
    assert json.loads((tmp_path / "out/summary.json").read_text())["precision"] == "mixed_bfloat16"
    probabilities = read_model(tmp_path / "out/model.keras").predict(Split(normalized / "test").images(), verbose=0)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags : fpu avx2 avx512f", "float32"),
        ("flags : avx512_bf16 x", "mixed_bfloat16"),
        ("amx_bf16", "mixed_bfloat16"),
    ],
)
def test_auto_precision_follows_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, expected: str
) -> None:
    """bfloat16 only where the processor says that it computes in it; a stated precision is taken as it is."""
    (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr("components.train.CPUINFO", tmp_path / "cpuinfo")
    assert resolve("auto") == expected
    assert resolve("float32") == "float32"
    monkeypatch.setattr("components.train.CPUINFO", tmp_path / "none")
    assert resolve("auto") == "float32"


def test_label_smoothing_and_cosine_train_too(normalized: Path, tmp_path: Path) -> None:
    """One-hot labels are made where smoothing needs them; the cosine ends near zero."""
    run(normalized, tmp_path, label_smoothing=0.1, schedule="cosine", patience=5)
    rows = history(tmp_path)
    assert rows[-1]["val_accuracy"] > 0.9
    assert rows[0]["learning_rate"] == pytest.approx(0.01)
    assert rows[-1]["learning_rate"] < 0.002


def test_tensorboard_gets_figures_and_histograms(undisturbed: Path) -> None:
    """Event files for training and validation hold each epoch's figures and the weights' distribution."""
    from components.backend import tensorflow

    tf = tensorflow()
    [path] = (undisturbed / "logs/train").iterdir()
    events = [tf.compat.v1.Event.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(path))]
    tags = [value.tag for event in events for value in event.summary.value]
    assert tags.count("epoch_loss") == 5
    assert tags.count("dense/hidden/kernel/histogram") == 5
    [path] = (undisturbed / "logs/validation").iterdir()
    assert path.stat().st_size > 500
