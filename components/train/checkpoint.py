"""Checkpoints: the whole state of a training at the end of an epoch, in one file.

A training that is killed and resumed gives the same bytes as one that was not. Keras' BackupAndRestore does not: it
keeps weights and optimizer alone, and loses early stopping, the schedule, the choice of the best weights and the
history.

WORK/
  state.npz   the variables of model (dropout's random state among them), optimizer and moving average; the weights of
              the best epoch so far; JSON with the history, the state of the callbacks, and whether training stopped
              early. A zip archive, whose checksums find a flipped bit
"""

import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import HistoryRow
from components.progress import say
from components.system.archives import require_bounded
from components.system.tensorflow import Variable
from components.train.best_weights import Arrays, BestWeights

SAVED_ATTRIBUTES = {
    "EarlyStopping": ("wait", "best", "best_epoch", "stopped_epoch"),
    "ReduceLROnPlateau": ("wait", "best", "cooldown_counter"),
    "BestWeights": ("best",),
}
CORRUPTED = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error)
# what NumPy and the parsers of a header or of JSON raise besides, over a file that is hostile
HOSTILE = (*CORRUPTED, IndexError, MemoryError, OverflowError, RuntimeError, SyntaxError, TokenError, TypeError)
PROGRESS_BYTES = 64 * 2**20


class Progress(TypedDict):
    """How far a training is, without its variables."""

    history: list[HistoryRow]
    stopped: bool  # early
    callbacks: dict[str, dict[str, float]]  # class -> attribute -> value


def no_progress() -> Progress:
    return {"history": [], "stopped": False, "callbacks": {}}


def state_file(work: Path) -> Path:
    return work / "state.npz"


def save(
    work: Path, variables: Sequence[Variable], best: Arrays, callbacks: Sequence[object], progress: Progress
) -> None:
    """Write all that the next epoch depends on: afterwards the new state is there as a whole, or the old one."""
    progress["callbacks"] = {
        name: {attribute: getattr(callback, attribute) for attribute in SAVED_ATTRIBUTES[name]}
        for callback in callbacks
        if (name := type(callback).__name__) in SAVED_ATTRIBUTES
    }
    arrays = {f"variable-{i:04}": variable.numpy() for i, variable in enumerate(variables)}
    arrays |= {f"best-{i:04}": weight for i, weight in enumerate(best)}
    draft = work / "state.npz.part"
    with draft.open("wb") as target:
        np.savez(target, progress=np.array(json.dumps(progress)), **arrays)
        target.flush()
        os.fsync(target.fileno())  # a power cut cannot keep the new name and lose the content
    draft.replace(state_file(work))


def read_progress(work: Path) -> Progress:
    """The progress of the last training in *work*, whose variables are not restored; none where it cannot be read."""
    path = state_file(work)
    if not path.exists():
        return no_progress()
    try:
        with _reading(path) as arrays:
            return _read_progress(arrays)
    except HOSTILE:
        return no_progress()


def read_best(work: Path, like: Sequence[Variable]) -> Arrays:
    """The weights of the best epoch of the last training in *work*; [] where they cannot be read.

    They have the shapes of the variables *like*.
    """
    try:
        with _reading(state_file(work)) as arrays:
            return _read_arrays(arrays, "best", like)
    except HOSTILE:
        return []


def restore(work: Path, variables: Sequence[Variable], best: BestWeights) -> Progress:
    """Restore *variables* and *best* from the last training in *work*, if it can be read; returns its progress."""
    path = state_file(work)
    if not path.exists():
        return no_progress()
    try:
        return _restore(path, variables, best)
    except HOSTILE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        say(f"  {path} cannot be read ({reason}): training restarts from the first epoch")
        return no_progress()


def discard(work: Path) -> None:
    """Let the next training start from the first epoch."""
    state_file(work).unlink(missing_ok=True)


def restore_callbacks(callbacks: Sequence[object], progress: Progress) -> None:
    for callback in callbacks:
        for attribute, value in progress["callbacks"].get(type(callback).__name__, {}).items():
            setattr(callback, attribute, value)


def _restore(path: Path, variables: Sequence[Variable], best: BestWeights) -> Progress:
    """Read everything before any variable is changed: a file that is corrupted half-way leaves them as they were."""
    with _reading(path) as arrays:
        progress = _read_progress(arrays)
        values = _read_arrays(arrays, "variable", variables)
        weights = _read_arrays(arrays, "best", best.variables)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    best.weights = weights
    return progress


@contextmanager
def _reading(path: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The arrays in *path*, each read and checked when it is asked for; raises what is in HOSTILE."""
    require_bounded(path, fine=PROGRESS_BYTES)
    with path.open("rb") as source, np.load(source, allow_pickle=False) as arrays:
        yield arrays


def _read_progress(arrays: Mapping[str, NDArray[Any]]) -> Progress:
    progress: Progress = json.loads(str(arrays["progress"]))
    return progress


def _read_arrays(arrays: Mapping[str, NDArray[Any]], name: str, like: Sequence[Variable]) -> Arrays:
    """The arrays called *name*, one for each of the variables *like*; raises ValueError where a shape differs."""
    values = [arrays[f"{name}-{i:04}"] for i in range(len(like))]
    for variable, value in zip(like, values, strict=True):
        if tuple(variable.shape) != value.shape:
            raise ValueError(f"it holds an array of shape {value.shape}; expected {tuple(variable.shape)}")
    return values
