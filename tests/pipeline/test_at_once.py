"""Runs at once: on one home, and on two machines that share a bucket and a registry."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from components.registry import promotion_log
from components.registry.client import CHAMPION, Registry
from components.system.processes import end_with_parent
from pipeline.graph import STAGES
from pipeline.home import Home
from pipeline.store.bucket import SharedStore
from tests.conftest import CLEAN, QUICK, ROOT
from tests.support.mlflow_server import mlflow_server

CHEAP = (*QUICK, "train.epochs=1", "export.formats=tflite", "gate.budget_format=tflite", "gate.max_overfit=1")
MAKING = [stage for stage in STAGES if not STAGES[stage].effect]


def started(home: Path, source: str, **environment: str) -> "subprocess.Popen[str]":
    settings = [part for setting in CHEAP for part in ("--set", setting)]
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run", "--json", "--source", source, *settings],
        cwd=ROOT,
        env={**CLEAN, "PIPELINE_HOME": str(home), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - sets one flag of the child
    )


def ended(processes: list["subprocess.Popen[str]"]) -> list[dict[str, Any]]:
    """What each run answered; every one has succeeded."""
    answers = [process.communicate(timeout=900) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), [said for _, said in answers]
    return [json.loads(answer) for answer, _ in answers]


def folder_of_digits(root: Path, classes: tuple[int, ...]) -> Path:
    """The images of some of the digits."""
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if label in classes:
            file = root / str(label) / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((image * 15).astype("uint8")).save(file)
    return root


def promoted(*homes: Path) -> Counter[tuple[str, str]]:
    """(model, action) -> how many lines of the promotion logs."""
    return Counter((line.name, line.action) for home in homes for line in promotion_log.read(Home(home).promotions))


def test_eight_runs_of_four_sources_share_a_home(tmp_path: Path) -> None:
    """Two of each source: one artifact a key, one version a model, one move of the alias."""
    home, pairs = tmp_path / "home", {"low": (0, 1), "middle": (4, 5), "high": (8, 9)}
    sources = ["digits", *(str(folder_of_digits(tmp_path / name, pair)) for name, pair in pairs.items())]
    answers = ended([started(home, source) for source in (*sources, *sources)])
    for one, other in zip(answers[:4], answers[4:], strict=True):
        assert [(stage["key"], stage["digest"]) for stage in one["stages"]] == [
            (stage["key"], stage["digest"]) for stage in other["stages"]
        ]
    assert Counter(stage for stage, _ in Home(home).store.list()) == dict.fromkeys(MAKING, 4)
    made = Counter((stage["stage"], stage["key"]) for answer in answers for stage in answer["stages"] if stage["made"])
    assert max(made.values()) == 1
    registry = Registry(Home(home).tracking_uri)
    assert len(registry.names()) == 4
    for name in registry.names():
        assert [(version.version, CHAMPION in version.aliases) for version in registry.versions(name)] == [("1", True)]
    assert promoted(home) == Counter({(name, "promote"): 1 for name in registry.names()})


@pytest.fixture
def server(tmp_path: Path, empty_database: Path) -> Iterator[str]:
    """A registry that both machines use."""
    folder = tmp_path / "server"
    folder.mkdir()
    with mlflow_server(folder, empty_database) as address:
        yield address


def test_two_machines_share_a_bucket_and_a_registry(
    tmp_path: Path, bucket: dict[str, str], prefix: str, server: str
) -> None:
    """The same run on both at once: one artifact a key in the bucket, one version, and one champion."""
    homes, shared = [tmp_path / "one", tmp_path / "other"], {**bucket, "PIPELINE_STORE": prefix}
    shared["MLFLOW_TRACKING_URI"] = server
    one, other = ended([started(home, "digits", **shared) for home in homes])
    keys = [[(stage["stage"], stage["key"], stage["digest"]) for stage in run["stages"]] for run in (one, other)]
    assert keys[0] == keys[1]
    assert Counter(stage for stage, _ in SharedStore(tmp_path / "third", prefix).list()) == dict.fromkeys(MAKING, 1)
    versions = Registry(server).versions("digits-classifier")
    assert [(version.version, CHAMPION in version.aliases) for version in versions] == [("1", True)]
    moves = promoted(*homes)
    assert moves["digits-classifier", "promote"] >= 1
    assert set(moves) <= {("digits-classifier", "promote"), ("digits-classifier", "recovered")}
