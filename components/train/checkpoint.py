"""Checkpoints: the whole state of a training at the end of an epoch, in one file.

A training that is killed and resumed gives the same bytes as one that was not. Keras' BackupAndRestore does not: it
keeps weights and optimizer alone, and loses early stopping, the schedule, the choice of the best weights and the
history.

WORK/
  state.npz         the variables of model (dropout's random state among them), optimizer and moving average; JSON with
                    the history, the state of the callbacks, and whether training stopped early
  best.weights.h5   the weights of the best epoch so far, written before the state that has its sha256
"""

import json
import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError
from typing import TypedDict

import numpy as np

from components.artifact_files import HistoryRow
from components.progress import say
from components.system.archives import require_bounded
from components.system.files import sha256_of_file
from components.system.tensorflow import Callback, Variable

SAVED_ATTRIBUTES = {
    "EarlyStopping": ("wait", "best", "best_epoch", "stopped_epoch"),
    "ReduceLROnPlateau": ("wait", "best", "cooldown_counter"),
    "ModelCheckpoint": ("best",),
}
UNREADABLE = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error)
# what NumPy and the parsers of a header or of JSON raise besides, over a file that is hostile
HOSTILE = (*UNREADABLE, IndexError, MemoryError, OverflowError, RuntimeError, SyntaxError, TokenError, TypeError)
PROGRESS_BYTES = 64 * 2**20


class Progress(TypedDict):
    """How far a training is, without its variables."""

    history: list[HistoryRow]
    stopped: bool  # early
    callbacks: dict[str, dict[str, float]]  # class -> attribute -> value
    weights: str  # the sha256 of best.weights.h5


def no_progress() -> Progress:
    return {"history": [], "stopped": False, "callbacks": {}, "weights": ""}


def best_weights(work: Path) -> Path:
    return work / "best.weights.h5"


def has_best_weights(work: Path) -> bool:
    """Whether best.weights.h5 is, to the bit, the file that the state refers to: HDF5 has no checksum of its own."""
    try:
        return sha256_of_file(best_weights(work)) == read_progress(work)["weights"]
    except OSError:
        return False


def save(work: Path, variables: Sequence[Variable], callbacks: Sequence[Callback], progress: Progress) -> None:
    """Write all that the next epoch depends on: afterwards the new state is there as a whole, or the old one."""
    _sync(best_weights(work))
    progress["callbacks"] = {
        name: {attribute: getattr(callback, attribute) for attribute in SAVED_ATTRIBUTES[name]}
        for callback in callbacks
        if (name := type(callback).__name__) in SAVED_ATTRIBUTES
    }
    arrays = {f"variable-{i:04}": variable.numpy() for i, variable in enumerate(variables)}
    draft = work / "state.npz.part"
    with draft.open("wb") as file:
        np.savez(file, progress=np.array(json.dumps(progress)), **arrays)
    _sync(draft)
    draft.replace(work / "state.npz")


def read_progress(work: Path) -> Progress:
    """The progress of the last training in *work*, whose variables are not restored; none where it cannot be read."""
    path = work / "state.npz"
    if not (path.exists() and best_weights(work).exists()):
        return no_progress()
    try:
        require_bounded(path, fine=PROGRESS_BYTES)
        with np.load(path, allow_pickle=False) as arrays:
            progress: Progress = json.loads(str(arrays["progress"]))
            return progress
    except HOSTILE:
        return no_progress()


def restore(work: Path, variables: Sequence[Variable]) -> Progress:
    """Restore *variables* from the last training in *work*, if there is one that can be read; returns its progress."""
    path = work / "state.npz"
    if not (path.exists() and best_weights(work).exists()):
        return no_progress()
    try:
        return _restore(path, variables)
    except HOSTILE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        say(f"  {path} cannot be read ({reason}): training restarts from the first epoch")
        return no_progress()


def discard(work: Path) -> None:
    """Let the next training start from the first epoch."""
    (work / "state.npz").unlink(missing_ok=True)


def restore_callbacks(callbacks: Sequence[Callback], progress: Progress) -> None:
    for callback in callbacks:
        for attribute, value in progress["callbacks"].get(type(callback).__name__, {}).items():
            setattr(callback, attribute, value)


def _restore(path: Path, variables: Sequence[Variable]) -> Progress:
    """Read everything before any variable is changed: a file that is corrupted half-way leaves them as they were."""
    require_bounded(path, fine=PROGRESS_BYTES)
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        progress: Progress = json.loads(str(arrays["progress"]))
        values = [arrays[f"variable-{i:04}"] for i in range(len(variables))]
    for variable, value in zip(variables, values, strict=True):
        if tuple(variable.shape) != value.shape:
            raise ValueError(f"it holds a variable of shape {value.shape}; expected {tuple(variable.shape)}")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return progress


def _sync(path: Path) -> None:
    """Flush *path* to the disk, so that a power cut cannot keep a newer file and lose an older one."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
