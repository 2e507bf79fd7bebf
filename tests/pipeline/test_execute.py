"""How a run ended is recorded truthfully, whatever fails while it ends."""

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.errors import ModelRejected, RegistryUnreachable, StorageFailed
from pipeline import config, execute
from pipeline.home import Home
from pipeline.run_record import RunRecord, find
from pipeline.runner import Runner
from tests.conftest import QUICK


def refused(home: Path) -> RunRecord:
    """A run that the gate refuses; nothing but its end is executed."""
    params = config.load("", (*QUICK, "gate.min_accuracy=0.9999"), "digits", {})
    with pytest.raises(ModelRejected, match=r"below the gate of 99\.99 %"):
        execute.run(params, Home(home))
    return find(Home(home))


def failing(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


ERRORS = [
    KeyError("tone"),
    StorageFailed("the disk is full"),
    RegistryUnreachable("no answer"),
    OSError(errno.EIO, "x"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", ["html.render", "summary.metrics"])
def test_a_failure_while_a_refusal_is_reported_does_not_replace_it(
    home: Path, place: str, error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The refusal ends the run with its own exit status; the other failure is a warning."""
    monkeypatch.setattr(f"pipeline.execute.{place}", failing(error))
    record = refused(home)
    assert record.state == "refused"
    assert "below the gate" in record.error
    assert "warning: the record or report of this run is incomplete: " in capsys.readouterr().err


@pytest.mark.parametrize("error", [*ERRORS, KeyboardInterrupt()], ids=lambda error: type(error).__name__)
def test_a_run_whose_report_fails_is_listed_with_the_reason(
    home: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It did everything and is not listed as killed: the record says that every stage ended, and what did not."""
    monkeypatch.setattr("pipeline.execute.html.render", failing(error))
    with pytest.raises((type(error), StorageFailed)):
        execute.run(config.load("", QUICK, "digits", {}), Home(home))
    record = find(Home(home))
    assert record.state == ("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
    assert record.error.startswith("every stage ended, but not the record or report of the run: ")
    assert len(record.stages) == 8


def test_a_full_disk_at_the_end_of_a_refused_run_leaves_the_refusal(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither record nor report can be written: the exit status is still that of the refusal."""
    params = config.load("", (*QUICK, "gate.min_accuracy=0.9999"), "digits", {})

    def refuse(runner: Runner) -> None:
        monkeypatch.setattr("pipeline.run_record.write_atomically", failing(OSError(errno.ENOSPC, "No space left")))
        runner.run_stage("export")

    with pytest.raises(ModelRejected), execute.recorded(params, Home(home), "full") as runner:
        refuse(runner)
    assert "incomplete: the disk of " in capsys.readouterr().err


def test_an_unknown_teacher_leaves_a_record(home: Path) -> None:
    """The run that it ended is listed, with the reason."""
    params = config.load("", (*QUICK, "train.teacher=77"), "digits", {})
    with pytest.raises(Exception, match="which digits-classifier has no version of"):
        execute.run(params, Home(home))
    record = find(Home(home))
    assert (record.state, record.settings["train.teacher"]) == ("failed", "77")
    assert "has no version of" in record.error


def test_a_run_of_several_tasks_keeps_to_the_images_that_it_began_with(tmp_path: Path) -> None:
    """Those that arrive meanwhile belong to the next run: its tasks would otherwise see different data."""
    pets, home = tmp_path / "pets", Home(tmp_path / "home")
    for number in range(240):
        _save(pets / ("cat", "dog")[number % 2] / f"{number}.png", number)
    params = config.load("", QUICK, str(pets), {})
    first = execute.run_stage(params, home, "ingest", "run")
    _save(pets / "cat" / "new.png", 1000)
    with execute.recorded(params, home, "run", part="validate") as runner:
        assert runner.recipe("ingest") == home.store.get("ingest", first["key"]).recipe  # type: ignore[union-attr]
    with execute.recorded(params, home, "next", part="ingest") as runner:
        assert runner.recipe("ingest")["inputs"] != home.store.get("ingest", first["key"]).recipe["inputs"]  # type: ignore[union-attr]


def _save(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8)).save(path)


def test_a_bug_is_recorded_by_its_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`KeyError: 'epochs'` says more than `'epochs'`."""
    monkeypatch.setattr("pipeline.runner.Runner.judge", failing(KeyError("epochs")))
    with pytest.raises(KeyError):
        execute.run(config.load("", QUICK, "digits", {}), Home(home))
    assert find(Home(home)).error == "KeyError: 'epochs'"
