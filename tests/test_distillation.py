"""Ensembles and distillation through the command line, with the registry between them."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.conftest import QUICK, command, quick_run


def settings(*texts: str) -> list[str]:
    """Those of a quick training of a dense network, and *texts*."""
    return [part for text in ("train.model=dense", *texts) for part in ("--set", text)]


def made(answer: dict[str, Any]) -> list[str]:
    return [stage["stage"] for stage in answer["stages"] if stage["made"]]


def test_an_ensemble_is_exported_and_distilled_into_one_small_network(home: Path) -> None:
    """Two members become one version, its exports agree, and a small network learns from it by its alias or number.

    The key holds the teacher's digest: another name of the same version makes nothing. A version that is not there is
    told at once, with those that are.
    """
    whole = quick_run(home, *settings("train.members=2"))
    assert whole["model"] == {"name": "digits-classifier", "version": "2", "aliases": ["challenger", "champion"]}
    assert "export" in made(whole)
    train = next(Path(stage["path"]) for stage in whole["stages"] if stage["stage"] == "train")
    summary = json.loads((train / "summary.json").read_text())
    assert len(summary["members"]) == 2
    digest = hashlib.sha256((train / "model.keras").read_bytes()).hexdigest()

    small = ("train.width=0.25", "train.distill_weight=0.9")
    student = quick_run(home, *settings(*small, "train.teacher=champion"), "--until", "evaluate")
    assert made(student) == ["train", "evaluate"]
    folder = next(Path(stage["path"]) for stage in student["stages"] if stage["stage"] == "train")
    assert json.loads((folder / "manifest.json").read_text())["recipe"]["inputs"]["teacher"] == digest
    assert json.loads((folder / "summary.json").read_text())["parameters"] < summary["parameters"] / 4
    assert made(quick_run(home, *settings(*small, "train.teacher=2"), "--until", "evaluate")) == []

    quick = [part for text in QUICK for part in ("--set", text)]
    why = command(
        home, "explain", "train", "--json", "--source", "digits", *quick, *settings(*small, "train.teacher=1")
    )
    assert json.loads(why.stdout)[0]["reasons"] == ["input teacher changed"]
    wrong = command(home, "run", "--source", "digits", *settings("train.teacher=9"))
    assert wrong.returncode == 2
    assert (
        "train.teacher is '9', which digits-classifier has no version of; its versions are: 1, 2 @chal" in wrong.stderr
    )
    assert "ingest" not in wrong.stderr
