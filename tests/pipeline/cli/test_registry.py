"""A version that waits for a person, on the command line: listed, kept by gc, decided about."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from components.inference import shadow_counts
from components.inference.shadow_counts import ShadowCounts
from components.registry.client import Registry
from components.registry.database import address_of
from pipeline.cli.main import main
from tests.conftest import QUICK, command, quick_run

NAME = "digits-classifier"


def answer(home: Path, *arguments: str) -> Any:
    done = command(home, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def waiting(home: Path) -> Path:
    """A home whose registry was lost; its only model is registered again, and waits."""
    (home / "mlflow.db").unlink()
    (home / "promotions.jsonl").unlink()
    run = quick_run(home, "--set", "promote.approval=always")
    assert run["promotion"]["outcome"] == "waiting"
    assert run["model"]["aliases"] == ["challenger"]
    shutil.rmtree(home / "runs")
    return home


def test_a_version_that_waits_is_listed_kept_and_approved(waiting: Path) -> None:
    """The list shows its figures and the three commands; without an alias or a run, gc keeps all that it needs."""
    (request,) = answer(waiting, "promote", "--pending")
    assert (request["name"], request["version"], request["champion"]) == (NAME, "1", None)
    assert {row[0] for row in request["table"]} >= {"accuracy", "export int8", "training images"}
    shown = command(waiting, "promote", "--pending").stdout
    for decision in ("approve", "reject", "hold"):
        assert f"-m pipeline promote 1 --name {NAME} --{decision}" in shown
    approved = answer(waiting, "promote", "1", "--approve", "--reason", "looks good", "--by", "ada")
    assert (approved["made"], approved["version"]) == (True, "1")
    (event, *_) = answer(waiting, "history")
    assert (event["kind"], event["who"]) == ("promoted", "ada")
    assert answer(waiting, "promote", "--pending") == []
    again = command(waiting, "promote", "1", "--reject")
    assert again.returncode == 2
    assert "version 1 of digits-classifier does not wait for a decision: it was approved by ada" in again.stderr


def test_a_rejected_version_ends_the_next_run(waiting: Path) -> None:
    """Exit status 4, with who, when, why and the command that promotes it all the same."""
    assert command(waiting, "promote", "1", "--reject", "--reason", "too slow").returncode == 0
    settings = [part for setting in QUICK for part in ("--set", setting)]
    done = command(waiting, "run", "--source", "digits", *settings)
    assert done.returncode == 4
    assert "too slow" in done.stderr
    assert "promote 1 --force --reason TEXT" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["1"],
        ["--approve"],
        ["1", "--pending"],
        ["1", "--approve", "--force", "--reason", "x"],
        ["--pending", "--hold"],
        ["--force", "--reason", "x"],
    ],
    ids=" ".join,
)
def test_what_promote_does_is_one_of_three_things(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Anything else is refused before the registry is read, with the three."""
    assert main(["promote", *arguments]) == 2
    assert "promote --pending, promote VERSION with one of --approve, --reject and --hold" in capsys.readouterr().err


def test_models_shows_how_often_a_challenger_disagreed_with_the_champion(home: Path) -> None:
    """Only where a server has counted it: of the present champion, with the 95 % bound."""
    (version,) = answer(home, "models")
    assert version["shadow"] is None
    assert "other answers" not in command(home, "models").stdout
    registry = Registry(address_of(home / "mlflow.db"))
    registry.client.create_model_version(NAME, (home / "nowhere").as_uri())
    shadow_counts.add(home / "serving" / "shadow", NAME, "1", "2", ShadowCounts(2000, 0))
    shadow_counts.add(home / "serving" / "shadow", NAME, "1", "2", ShadowCounts(1000, 1))
    shadow_counts.add(home / "serving" / "shadow", NAME, "7", "2", ShadowCounts(1000, 999))  # an earlier champion
    shadows = {version["version"]: version["shadow"] for version in answer(home, "models")}
    assert shadows["1"] is None
    assert shadows["2"] == {"images": 3000, "disagreements": 1, "bound": pytest.approx(0.00158, abs=1e-5)}
    shown = command(home, "models").stdout
    assert "other answers than the champion's" in shown
    assert "1 of 3,000 images (at most 0.16 % of all)" in shown
