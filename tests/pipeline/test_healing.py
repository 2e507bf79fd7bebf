"""Damage: it is found where it is read, the artifact is made again, and what was derived from it is judged again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.errors import ModelRejected
from pipeline import config, execute
from pipeline.graph import STAGES
from pipeline.home import Home
from pipeline.run_record import find
from pipeline.runner import Runner
from pipeline.store.artifact import Artifact
from pipeline.store.local import Store
from tests.conftest import QUICK, command


def run(home: Path, *overrides: str, until: str = "") -> Runner:
    return execute.run(config.load("", (*QUICK, *overrides), "digits", {}), Home(home), until=until)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


DAMAGE: dict[str, Callable[[Path], None]] = {
    "ingest/test/labels.npy": Path.unlink,
    "ingest/manifest.json": flip,
    "validate/statistics.json": halve,
    "normalize/data.json": flip,
    "train/history.csv": halve,
    "evaluate/metrics.json": flip,
    "evaluate/predictions.npy": Path.unlink,
    "export/parity.json": flip,
    "export/manifest.json": halve,
}


def test_whatever_is_damaged_is_made_again_by_the_next_run(home: Path) -> None:
    """One run finds damage in every stage, in what it reads and in what it would only reuse, and ends as before."""
    before = {done.stage: done.digest for done in run(home).record.stages}
    for name, damage in DAMAGE.items():
        stage, _, file = name.partition("/")
        (artifact,) = (home / "artifacts" / stage).glob("[!.]*")
        damage(artifact / file)
    rows = run(home).record.stages
    assert {done.stage: done.digest for done in rows} == before
    assert {done.stage for done in rows if done.made} == {name.partition("/")[0] for name in DAMAGE}
    assert command(home, "verify").returncode == 0


def test_a_flipped_bit_in_the_metrics_crowns_no_model(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that the gate refused stays refused, whatever the file of its evaluation says by now."""
    with pytest.raises(ModelRejected, match="below the gate"):
        run(home, "gate.min_accuracy=0.97", until="evaluate")
    metrics = next((home / "artifacts" / "evaluate").glob("[!.]*/metrics.json"))
    content = json.loads(metrics.read_bytes())
    metrics.write_text(json.dumps(content | {"correct": 356, "accuracy": 356 / 360, "wilson_low": 0.97}))
    with pytest.raises(ModelRejected, match="below the gate"):
        run(home, "gate.min_accuracy=0.97", until="evaluate")
    assert "metrics.json was changed since it was published; making evaluate again" in capsys.readouterr().err


@pytest.mark.parametrize("seen", ["by a look", "by reading every byte"])
def test_a_model_that_healing_made_differently_is_judged_by_its_own_evaluation(
    home: Path, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on another processor: the model that training makes again is another one, and not as good as the damaged one.

    Its predecessor passed the gate; it is evaluated before anything acts, refused, and not registered.
    """
    gate = "gate.min_accuracy=0.97"
    own = run(home, until="train").artifact("train")
    better = run(home, "train.epochs=12", until="train").artifact("train")
    _publish_as(Home(home).store, own, better)
    assert run(home, gate, until="evaluate").record.done("evaluate")
    versions = command(home, "models", "--json").stdout

    flip(own.path / "model.keras")
    if seen == "by reading every byte":
        monkeypatch.setattr(Store, "check", lambda *_: None)
    with pytest.raises(ModelRejected, match="below the gate of 97 %"):
        run(home, gate)
    record = find(Home(home))
    assert (record.state, [done.stage for done in record.stages]) == ("refused", list(STAGES)[:5])
    done = record.done("train")
    assert done
    assert (done.made, done.digest) == (True, own.digest)
    assert command(home, "models", "--json").stdout == versions

    runner = run(home)  # a gate that lets it pass: what is registered is what was evaluated
    assert runner.artifact("evaluate").recipe["inputs"]["train"] == own.digest
    assert {done.stage: done.digest for done in runner.record.stages}["promote"] == own.digest


def _publish_as(store: Store, own: Artifact, other: Artifact) -> None:
    """Put the files of *other* in the place of *own*, as if this machine had trained that model."""
    with store.draft("train", own.key) as draft:
        shutil.copytree(other.path, draft, dirs_exist_ok=True, ignore=shutil.ignore_patterns("manifest.json"))
        store.publish(draft, own.recipe, other.facts, own.made, replace=True)


def test_explain_says_that_a_damaged_artifact_would_be_made_again(home: Path) -> None:
    """What it shows is what a run does."""
    metrics = next((home / "artifacts" / "evaluate").glob("[!.]*/metrics.json"))
    flip(metrics)
    settings = [part for setting in QUICK for part in ("--set", setting)]
    done = command(home, "explain", "evaluate", "--json", "--source", "digits", *settings)
    (explanation,) = json.loads(done.stdout)
    assert (explanation["verdict"], explanation["reasons"]) == (
        "run",
        [f"{metrics} was changed since it was published"],
    )
