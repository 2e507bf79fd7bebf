"""Checkpoints: wherever a training is killed, the next one completes it with the bytes of an undisturbed one."""

import io
import json
import os
import pkgutil
import resource
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.artifact_files import HistoryRow
from components.errors import StorageFailed
from components.settings.sections import Train
from components.system.tensorflow import tensorflow
from components.train import checkpoint
from components.train.best_weights import BestWeights
from components.train.stage import train
from tests.support.small_disk import disk
from tests.support.small_training import SMALL, digests, folders, history, interrupted, run, write_normalized


@pytest.fixture(scope="module")
def normalized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_normalized(tmp_path_factory.mktemp("normalize"))


CHILD = """
import json, sys
from pathlib import Path
from components.settings.sections import Train
from components.train.stage import train
train(*map(Path, sys.argv[1:5]), params=Train(**json.loads(sys.argv[5])))
"""


def child(normalized: Path, folder: Path, **settings: Any) -> "subprocess.Popen[str]":
    """`run` in another process."""
    paths = map(str, (normalized, *folders(folder)))
    command = [sys.executable, "-c", CHILD, *paths, json.dumps(SMALL | settings)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


EVERYTHING: dict[str, Any] = {
    "model": "cnn_bn",
    "optimizer": "sgd",
    "weight_decay": 0.01,
    "schedule": "onecycle",
    "class_weights": "balanced",
    "label_smoothing": 0.1,
    "ema": 0.95,
    "epochs": 4,
}


@pytest.fixture(scope="module")
def everything(normalized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed training with EVERYTHING."""
    folder = tmp_path_factory.mktemp("everything")
    run(normalized, folder, **EVERYTHING)
    return folder


def test_a_killed_training_is_resumed_with_the_bytes_of_an_undisturbed_one(
    normalized: Path, everything: Path, tmp_path: Path
) -> None:
    """kill -9 in the third epoch, then again: every file equals that of an undisturbed process."""
    killed = child(normalized, tmp_path / "killed", **EVERYTHING)
    assert killed.stderr
    while not (line := killed.stderr.readline()).startswith("  epoch 2/4"):
        assert line, "it ended before its second epoch"
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    killed.stderr.close()
    assert not any((tmp_path / "killed/out").iterdir())

    again = child(normalized, tmp_path / "killed", **EVERYTHING)
    _, output = again.communicate()
    assert again.returncode == 0, output
    assert "of 4 is done already" in output
    assert "epoch 1/4" not in output
    assert digests(tmp_path / "killed") == digests(everything)


def test_averages_schedules_and_class_weights_are_resumed(
    normalized: Path, everything: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One cycle, momentum, the moving average and class weights: killed after the second epoch, the same bytes."""
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", interrupted(checkpoint.save, 2))
        with pytest.raises(KeyboardInterrupt):
            run(normalized, tmp_path / "killed", **EVERYTHING)
    assert run(normalized, tmp_path / "killed", **EVERYTHING)["resumed_after_epoch"] == 2
    assert digests(tmp_path / "killed") == digests(everything)


@pytest.fixture(scope="module")
def undisturbed(normalized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    run(normalized, folder)
    return folder


MOMENTS = {
    "in an epoch": ("components.train.callbacks.EpochReport.on_train_batch_end", 15, None),
    "while the state is written": ("numpy.savez", 2, "state.npz.part"),
    "after the last epoch": ("components.train.checkpoint.save", 5, None),
    "while the model is written": ("components.train.stage.write_model", 1, "model.keras"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_wherever_a_training_ends_the_next_one_completes_it(
    normalized: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """A training that ends at any moment, files half-written, is completed with the bytes of an undisturbed one."""
    target, at, half = MOMENTS[moment]
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(target, interrupted(pkgutil.resolve_name(target), at, leaving_half=half))
        with pytest.raises(KeyboardInterrupt):
            run(normalized, tmp_path)
    run(normalized, tmp_path)
    assert digests(tmp_path) == digests(undisturbed)


def test_a_corrupted_checkpoint_is_reported_and_training_restarts(
    normalized: Path, undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It costs the epochs done so far, and never changes the result."""
    run(normalized, tmp_path)
    os.truncate(tmp_path / "work/state.npz", 5000)
    capsys.readouterr()
    run(normalized, tmp_path)
    assert "state.npz cannot be read" in capsys.readouterr().err
    assert digests(tmp_path) == digests(undisturbed)


def packed(name: str, content: bytes) -> bytes:
    with zipfile.ZipFile(target := io.BytesIO(), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(name, content)
    return target.getvalue()


def array(kind: str, shape: str, content: bytes = b"") -> bytes:
    """An archive of one array, *content*, whose header says what it likes."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return packed("progress.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content)


HOSTILE = {
    "a bomb": packed("progress.npy", bytes(65 * 2**20)),
    "terabytes": array("<f8", "(1000000000000,)"),
    "no shape": array("<f8", "(10**12,)"),
    "a pickle": array("|O", "(1,)", b"cos\nsystem\n."),
    "no header": packed("progress.npy", b"\x93NUMPY\x01\x00\xff\xff{'descr'"),
    "deep JSON": array("<U100000", "()", ("[" * 10**5).encode("utf-32-le")),
    "no progress": packed("other.npy", b""),
    "nothing": b"",
}


@pytest.mark.parametrize("content", HOSTILE)
def test_whatever_a_checkpoint_holds_training_restarts(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bombs, pickles and damage are reported, and nothing of them is unpacked or run."""
    (tmp_path / "state.npz").write_bytes(HOSTILE[content])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert checkpoint.read_progress(tmp_path) == checkpoint.no_progress()
    assert checkpoint.restore(tmp_path, [], BestWeights([])) == checkpoint.no_progress()
    assert checkpoint.read_best(tmp_path, []) == []
    assert "state.npz cannot be read (" in capsys.readouterr().err
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 2**10  # KiB


def lost(work: Path) -> None:
    (work / "state.npz").unlink()


def truncated(work: Path) -> None:
    os.truncate(work / "state.npz", 3000)


def flipped(work: Path) -> None:
    """The lowest bit of the last weight, which no accuracy shows."""
    path = work / "state.npz"
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = archive.read("best-0001.npy")
    content[content.rindex(entry) + len(entry) - 4] ^= 1  # the variables before it may hold the same
    path.write_bytes(content)


def foreign(work: Path) -> None:
    """Other weights, of the right shapes and with the right checksums."""
    with np.load(work / "state.npz") as stored:
        arrays = {name: 0 * array if name.startswith("best") else array for name, array in stored.items()}
    np.savez(work / "state.npz", **arrays)


@pytest.mark.parametrize("damage", [lost, truncated, flipped, foreign])
def test_best_weights_that_are_damaged_before_they_are_read_never_become_the_model(
    normalized: Path, undisturbed: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """After the last epoch, as a disk that fails may do; the next training starts again."""
    out, work, logs = folders(tmp_path)

    def watch(history: list[HistoryRow]) -> None:
        if len(history) == SMALL["epochs"]:
            damage(work)

    with pytest.raises(StorageFailed, match=r"state\.npz does not hold the weights of epoch \d: .*\. Run it again"):
        train(normalized, out, work, logs, params=Train(**SMALL), watch=watch)
    run(normalized, tmp_path)
    assert digests(tmp_path) == digests(undisturbed)


def test_a_flipped_bit_of_the_best_weights_restarts_the_training(
    normalized: Path, undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(normalized, tmp_path)
    flipped(tmp_path / "work")
    capsys.readouterr()
    run(normalized, tmp_path)
    assert "state.npz cannot be read (Bad CRC-32 for file 'best-0001.npy')" in capsys.readouterr().err
    assert digests(tmp_path) == digests(undisturbed)


def test_weights_that_do_not_improve_leave_the_best_ones(normalized: Path, tmp_path: Path) -> None:
    """The weights that are kept are those of the epoch, not the variables, which the next epoch changes."""
    tensorflow()
    import keras

    variable = keras.Variable(np.zeros(3))
    best = BestWeights([variable])
    for value, loss in enumerate((0.5, 0.3, 0.3, 0.4)):
        variable.assign(np.full(3, value))
        best.on_epoch_end(value, {"val_loss": loss})
    assert best.best == 0.3
    assert [*best.weights[0]] == [1, 1, 1]


def test_a_training_whose_disk_is_full_is_resumed_once_there_is_space(
    normalized: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """The second checkpoint does not fit; the first is kept. Nothing but the error is reported."""
    out, _, logs = folders(tmp_path)
    with disk(tmp_path / "disk", "1m") as work:

        def watch(_: list[HistoryRow]) -> None:
            (work / "filler").write_bytes(bytes(shutil.disk_usage(work).free))

        with pytest.raises(OSError, match="No space left on device"):
            train(normalized, out, work, logs, params=Train(**SMALL), watch=watch)
        (work / "filler").unlink()
        assert train(normalized, out, work, logs, params=Train(**SMALL))["resumed_after_epoch"] == 1
    assert digests(tmp_path) == digests(undisturbed)


STOPPING = {"epochs": 12, "patience": 3, "learning_rate": 0.5}


@pytest.fixture(scope="module")
def stopped(normalized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that early stopping ended, its learning rate lowered on the way."""
    folder = tmp_path_factory.mktemp("stopped")
    run(normalized, folder, **STOPPING)
    rates = [row["learning_rate"] for row in history(folder)]
    assert len(rates) < STOPPING["epochs"]
    assert rates[-1] < rates[0]
    return folder


def test_early_stopping_and_the_schedule_are_resumed(
    normalized: Path, stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed one epoch before it stops, a training stops there and not later: the checkpoint has the epochs waited."""
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", interrupted(checkpoint.save, len(history(stopped)) - 1))
        with pytest.raises(KeyboardInterrupt):
            run(normalized, tmp_path, **STOPPING)
    run(normalized, tmp_path, **STOPPING)
    assert digests(tmp_path) == digests(stopped)


def test_a_training_that_stopped_early_is_not_continued(normalized: Path, stopped: Path) -> None:
    """A checkpoint that says "stopped" is the end, though epochs are left."""
    before = digests(stopped)
    facts = run(normalized, stopped, **STOPPING)
    assert facts["epoch_seconds"] == []
    assert digests(stopped) == before


def test_a_checkpoint_that_is_gone_can_be_discarded(tmp_path: Path) -> None:
    """So that the message about lost weights is the one that is raised."""
    checkpoint.discard(tmp_path)
    assert checkpoint.read_progress(tmp_path) == checkpoint.no_progress()
