"""Ensembles and distillation through the command line, with the registry between them."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.conftest import QUICK, command, quick_run


def settings(*texts: str) -> list[str]:
    """Settings of a quick training of a dense network, and *texts*."""
    return [part for text in ("train.model=dense", *texts) for part in ("--set", text)]


def stages_run(answer: dict[str, Any]) -> list[str]:
    return [stage["stage"] for stage in answer["stages"] if stage["made"]]


def test_an_ensemble_is_exported_and_distilled_into_one_small_network(home: Path) -> None:
    """Two members become one version, its exports agree, and a small network learns from it by its alias or number.

    The key holds the sha256 of the teacher's model: another name of the same version runs nothing. The weights to start
    from are part of it in the same way. An unknown version is reported at once, with those that exist.
    """
    ensemble = quick_run(home, *settings("train.members=2"))
    assert ensemble["model"] == {"name": "digits-classifier", "version": "2", "aliases": ["challenger", "champion"]}
    assert "export" in stages_run(ensemble)
    train = next(Path(stage["path"]) for stage in ensemble["stages"] if stage["stage"] == "train")
    summary = json.loads((train / "summary.json").read_text())
    assert len(summary["members"]) == 2
    model_sha256 = hashlib.sha256((train / "model.keras").read_bytes()).hexdigest()

    small = ("train.width=0.25", "train.distill_weight=0.9")
    student = quick_run(home, *settings(*small, "train.teacher=champion"), "--until", "evaluate")
    assert stages_run(student) == ["train", "evaluate"]
    folder = next(Path(stage["path"]) for stage in student["stages"] if stage["stage"] == "train")
    assert json.loads((folder / "manifest.json").read_text())["recipe"]["inputs"]["teacher"] == model_sha256
    assert json.loads((folder / "summary.json").read_text())["parameters"] < summary["parameters"] / 4
    assert stages_run(quick_run(home, *settings(*small, "train.teacher=2"), "--until", "evaluate")) == []

    quick = [part for text in QUICK for part in ("--set", text)]
    why = command(
        home, "explain", "train", "--json", "--source", "digits", *quick, *settings(*small, "train.teacher=1")
    )
    assert json.loads(why.stdout)[0]["reasons"] == ["input teacher changed"]
    weights = ("train.teacher=2", "train.weights=1")
    why = command(home, "explain", "train", "--json", "--source", "digits", *quick, *settings(*small, *weights))
    assert json.loads(why.stdout)[0]["reasons"] == ["input weights changed"]
    wrong = command(home, "run", "--source", "digits", *settings("train.teacher=9"))
    assert wrong.returncode == 2
    assert (
        "train.teacher is '9', which digits-classifier has no version of; its versions are: 1, 2 @chal" in wrong.stderr
    )
    assert "ingest" not in wrong.stderr
