"""One network to train: on what, how, and where its files go; as JSON for the workers of a distributed training."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from components.artifact_files import HistoryRow, NormalizedData
from components.settings.sections import Train

Watch = Callable[[list[HistoryRow]], None]  # called with the history after each epoch; ends the training by raising


class TeacherFile(NamedTuple):
    """The model.keras to distil from; *classes* are the names of its classes, for a file that does not hold them."""

    path: Path
    classes: tuple[str, ...] = ()


class TaskMessage(TypedDict):
    normalize: str
    params: dict[str, Any]
    work: str
    logs: str
    teacher: tuple[str, Sequence[str]] | None
    weights: str | None


@dataclass(frozen=True)
class Task:
    normalize: Path  # the artifact with the images
    params: Train
    work: Path  # folder for checkpoints
    logs: Path  # folder for TensorBoard's event files
    teacher: TeacherFile | None = None
    weights: Path | None = None  # the file with the weights to start from

    @cached_property
    def data(self) -> NormalizedData:
        """The data.json of normalize."""
        data: NormalizedData = json.loads((self.normalize / "data.json").read_bytes())
        return data

    def message(self) -> TaskMessage:
        return {
            "normalize": str(self.normalize),
            "params": asdict(self.params),
            "work": str(self.work),
            "logs": str(self.logs),
            "teacher": (str(self.teacher.path), self.teacher.classes) if self.teacher else None,
            "weights": str(self.weights) if self.weights else None,
        }

    @classmethod
    def from_message(cls, message: TaskMessage) -> "Task":
        params, teacher = Train(**message["params"]), None
        if message["teacher"]:
            path, classes = message["teacher"]
            teacher = TeacherFile(Path(path), tuple(classes))
        normalize, work, logs = (Path(message[name]) for name in ("normalize", "work", "logs"))
        weights = Path(message["weights"]) if message["weights"] else None
        return cls(normalize, params, work, logs, teacher, weights)
