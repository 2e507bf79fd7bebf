"""Workers of one training compare what they train, before the first step."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from components.errors import ConfigError
from components.settings.sections import Train
from components.train.distributed import worker
from components.train.task import Task


class Two:
    """The communication of two workers, of which the chief trains what *chief* names."""

    chief: str | None = None  # None: what this worker trains
    size = 2
    left = False

    def __init__(self, addresses: list[str], number: int) -> None: ...

    def broadcast_text(self, text: str) -> str:
        return text if Two.chief is None else Two.chief

    def sum(self, values: list[bool]) -> list[float]:
        return [float(value) for value in values]

    def leave(self) -> None:
        Two.left = True


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """A training whose collectives are those of `Two`, and which has no epochs."""
    module: Any = ModuleType("components.train.distributed.collectives")
    module.Collectives = Two
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(worker, "_run_epochs", lambda *_: [])
    monkeypatch.setattr(Two, "left", False)
    (tmp_path / "train").mkdir()
    (tmp_path / "data.json").write_text("{}")
    np.save(tmp_path / "train" / "labels.npy", np.arange(3))
    monkeypatch.setattr(Task, "from_message", lambda message: message)
    return Task(tmp_path, Train(workers=2, threads=1), tmp_path / "work", tmp_path / "logs")


class Parent:
    def __init__(self) -> None:
        self.messages: list[object] = []

    def send(self, message: object) -> None:
        self.messages.append(message)


def start(task: Task) -> Parent:
    parent, message = Parent(), {"addresses": ["a", "b"], "number": 1, "task": task}
    worker._train(message, parent)  # type: ignore[arg-type]
    return parent


def test_a_worker_that_trains_something_else_stops_before_it_takes_part(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other settings, images or arithmetic on one machine would give a model that nobody can make again."""
    monkeypatch.setattr(Two, "chief", "0" * 64)
    with pytest.raises(ConfigError, match=r"1 of 2 workers have other settings, images or arithmetic than the chief"):
        start(task)
    assert not Two.left


def test_workers_with_the_same_task_begin(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they compare holds the settings, the description of the data and the labels."""
    sent: list[str] = []

    def broadcast_text(_: Two, text: str) -> str:
        sent.append(text)
        return text

    monkeypatch.setattr(Two, "broadcast_text", broadcast_text)
    assert start(task).messages == [{"connected": True}]
    for change in (
        lambda: np.save(task.normalize / "train" / "labels.npy", np.arange(4)),
        lambda: (task.normalize / "data.json").write_text('{"mean": 1}'),
        lambda: object.__setattr__(task, "params", Train(workers=2, threads=2)),
    ):
        change()
        start(task)
    assert len({*sent}) == 4
