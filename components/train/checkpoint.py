"""A training's whole state at the end of an epoch, in one file, so that a killed one goes on as if nothing had been.

Keras' own BackupAndRestore keeps weights and optimizer alone: early stopping, the schedule, the choice of the best
weights and the history would begin anew, and the same seed would end in other bytes.

WORK/
  state.npz         the variables of model (dropout's random state among them), optimizer and moving average; JSON: the
                    history, what the callbacks remember, whether training stopped early
  best.weights.h5   the weights of the best epoch so far, written before the state that knows of it
"""

import json
import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components.progress import say

REMEMBERED = {
    "EarlyStopping": ("wait", "best", "best_epoch", "stopped_epoch"),
    "ReduceLROnPlateau": ("wait", "best", "cooldown_counter"),
    "ModelCheckpoint": ("best",),
}
UNREADABLE = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error)

State = dict[str, Any]


def fresh() -> State:
    """The state before the first epoch."""
    return {"rows": [], "stopped": False, "memory": {}}


def best_weights(work: Path) -> Path:
    return work / "best.weights.h5"


def save(work: Path, variables: Sequence[Any], callbacks: Sequence[Any], state: State) -> None:
    """Write everything that the next epoch depends on: afterwards all of the new state is there, or all of the old."""
    _settle(best_weights(work))
    state["memory"] = {
        name: {key: getattr(callback, key) for key in REMEMBERED[name]}
        for callback in callbacks
        if (name := type(callback).__name__) in REMEMBERED
    }
    arrays = {f"variable-{i:04}": variable.numpy() for i, variable in enumerate(variables)}
    draft = work / "state.npz.part"
    with draft.open("wb") as file:
        np.savez(file, state=np.array(json.dumps(state)), **arrays)
    _settle(draft)
    draft.replace(work / "state.npz")


def told(work: Path) -> State:
    """What the last training in *work* says of itself, of which nothing is restored; a fresh state where none can."""
    path = work / "state.npz"
    if not (path.exists() and best_weights(work).exists()):
        return fresh()
    try:
        with np.load(path, allow_pickle=False) as arrays:
            state: State = json.loads(str(arrays["state"]))
            return state
    except UNREADABLE:
        return fresh()


def load(work: Path, variables: Sequence[Any]) -> State:
    """Put *variables* where the last training in *work* left off; a fresh state where there is none to read."""
    path = work / "state.npz"
    if not (path.exists() and best_weights(work).exists()):
        return fresh()
    try:
        return _restore(path, variables)
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        say(f"  {path} cannot be read ({reason}): training starts again from the first epoch")
        return fresh()


def forget(work: Path) -> None:
    """Let the next training begin anew."""
    (work / "state.npz").unlink()


def remind(callbacks: Sequence[Any], state: State) -> None:
    """Give the callbacks back what they knew."""
    for callback in callbacks:
        for key, value in state["memory"].get(type(callback).__name__, {}).items():
            setattr(callback, key, value)


def _restore(path: Path, variables: Sequence[Any]) -> State:
    """Read everything before changing anything: a file that breaks half-way leaves them as they were."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        state: State = json.loads(str(arrays["state"]))
        values = [arrays[f"variable-{i:04}"] for i in range(len(variables))]
    for variable, value in zip(variables, values, strict=True):
        if tuple(variable.shape) != value.shape:
            raise ValueError(f"it holds a variable of shape {value.shape}; expected {tuple(variable.shape)}")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return state


def _settle(path: Path) -> None:
    """Have the disk hold what was written, so that a power cut cannot keep the newer file and lose the older."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
