"""The history of the registered models, and two of them side by side, after a promotion, a rollback and a refusal."""

import json
import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from components.promote import approval as approvals
from components.registry.client import Registry
from components.settings.sections import Promote
from pipeline import side_by_side
from pipeline.home import Home
from pipeline.model_comparison import of_versions
from pipeline.promotion_request import pending
from tests.conftest import QUICK, command

SETTINGS = [part for setting in QUICK for part in ("--set", setting)]
OTHER = ["--set", "train.seed=1", "--set", "gate.max_regression=1"]  # is promoted, whatever it reaches


@pytest.fixture(scope="module")
def retrained(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which a second version was promoted, then rolled back, then a run refused. Not to be changed."""
    home = tmp_path_factory.mktemp("retrained") / "home"
    shutil.copytree(finished, home)
    promoted = command(home, "run", "--source", "digits", *SETTINGS, *OTHER)
    assert promoted.returncode == 0, promoted.stderr
    assert command(home, "rollback", "--reason", "fives look like sixes").returncode == 0
    refused = command(home, "run", "--source", "digits", *SETTINGS, "--set", "gate.min_accuracy=0.9999")
    assert refused.returncode == 4, refused.stderr
    return home


def answer(home: Path, *arguments: str) -> Any:
    done = command(home, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_history_has_promotions_rollbacks_and_refusals_the_newest_first(retrained: Path) -> None:
    """Each with its version, accuracy and interval, the number of training images, and why."""
    events = answer(retrained, "history")
    assert [(event["kind"], event["version"]) for event in events] == [
        ("refused", ""),
        ("rolled back", "1"),
        ("promoted", "2"),
        ("promoted", "1"),
    ]
    refusal, rollback, second, first = events
    assert "gate.min_accuracy" in refusal["reason"]
    assert (rollback["reason"], rollback["before"]) == ("fives look like sixes", "2")
    assert first["run"] != second["run"]
    for figures in (event["figures"] for event in events):
        assert figures["wilson_low"] < figures["accuracy"] < figures["wilson_high"]
        assert figures["training_images"] > 1_000


def test_the_history_of_one_model_leaves_out_the_others(retrained: Path) -> None:
    """As a table; a model that nothing is known of is an error."""
    table = command(retrained, "history", "digits-classifier").stdout
    assert "fives look like sixes" in table
    for page in ([], ["--html", "cats.html"]):
        done = command(retrained, "history", "cats-classifier", *page)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: no cats-classifier was promoted or refused")


def test_two_versions_are_compared_image_by_image(retrained: Path) -> None:
    """Figures of both, what they were made with, and the test images that only one of them gets right."""
    found = answer(retrained, "compare", "1", "2")
    paired, before, after = found["paired"], found["before"], found["after"]
    assert (before["version"], after["version"]) == ("1", "2")
    assert before["correct"] + paired["gained"] - paired["lost"] == after["correct"]
    assert (len(paired["gained_images"]), len(paired["lost_images"])) == (paired["gained"], paired["lost"])
    assert found["changes"] == ["train.seed 0 -> 1"]
    back = answer(retrained, "compare", "2", "champion")["paired"]
    assert (back["gained_images"], back["lost_images"]) == (paired["lost_images"], paired["gained_images"])


def test_exports_and_classes_that_got_worse_are_compared_too(retrained: Path) -> None:
    """Size and latency of each format; the classes of which a smaller share is recognized, the largest loss first."""
    registry = Registry(f"sqlite:///{retrained}/mlflow.db")
    old, new = (registry.version("digits-classifier", number) for number in "12")
    assert old
    assert new
    found = of_versions(Home(retrained), old, new)
    table = {row[0]: row[1:] for row in side_by_side.rows(found.before, found.after)}
    assert all(re.fullmatch(r"\d+\.\d kB, \d+\.\d{3} ms an image", cell) for cell in table["export int8"])
    worse = side_by_side.worse_classes(found)
    losses = [float(before) - float(after) for text in worse for before, after in [re.findall(r"([\d.]+) %", text)]]
    rounding = 0.011  # percentage points, of two figures with two digits
    assert all(loss >= later - rounding for loss, later in pairwise(losses))
    assert all(loss > 0 for loss in losses)


def test_who_decides_sees_the_version_beside_the_champion(retrained: Path, tmp_path: Path) -> None:
    """The challenger first, the champion second, then what differs between them."""
    home = Home(shutil.copytree(retrained, tmp_path / "home"))
    registry = Registry(f"sqlite:///{home.root}/mlflow.db")
    champion, version = (registry.version("digits-classifier", number) for number in "12")
    assert version
    approvals.request(registry, version, champion, Promote(approval="always"), home.promotions, "ada")
    (request,) = pending(home, registry, "digits-classifier")
    assert (request.version, request.champion) == ("2", "1")
    assert request.table[0] == ["", "version 2 @challenger", "version 1 @champion"]
    assert {name for name, _ in request.differences} >= {"difference", "gained", "lost", "changes"}


def test_the_comparison_is_a_table_for_people(retrained: Path) -> None:
    """A column for each version; then the difference, and the images by name."""
    text = command(retrained, "compare", "1", "2").stdout
    for part in ("version 1 @champion", "version 2", "accuracy", "training images", "gained", "train.seed 0 -> 1"):
        assert part in text


def test_versions_that_do_not_share_their_test_images_are_compared_by_their_figures(
    retrained: Path, tmp_path: Path
) -> None:
    """Here because the evaluation of one is gone."""
    home = tmp_path / "home"
    shutil.copytree(retrained, home)
    for folder in (home / "artifacts" / "evaluate").iterdir():
        shutil.rmtree(folder)
    found = answer(home, "compare", "1", "2")
    assert found["paired"] is None
    assert 0.5 < found["before"]["accuracy"] < 1  # of the registry
    assert found["before"]["wilson_low"] is None
    assert "not evaluated on the same test images" in command(home, "compare", "1", "2").stdout


def test_a_version_that_is_not_there_is_an_error(retrained: Path) -> None:
    """With the versions and aliases that there are."""
    done = command(retrained, "compare", "1", "7")
    assert (done.returncode, done.stdout) == (2, "")
    assert "digits-classifier has no version 7" in done.stderr
    assert "1, 2" in done.stderr


def page(home: Path, file: Path, *arguments: str) -> str:
    """The page that the command writes to *file*, whose name it prints."""
    done = command(home, *arguments, "--html", str(file))
    assert (done.returncode, done.stdout.strip()) == (0, str(file)), done.stderr
    return file.read_text()


def test_the_history_is_a_page_too(retrained: Path, tmp_path: Path) -> None:
    """Each event in its table, with a link to the report of its run, and a mark in the drawing."""
    text = page(retrained, tmp_path / "models.html", "history")
    events = answer(retrained, "history")
    assert text.count("<circle") + text.count('class="refused"><title>') == len(events)
    for event in events:
        assert event["time"] in text
    assert "fives look like sixes" in text
    assert text.count((retrained / "runs").as_uri()) == len(events)
    assert "<form" not in text  # nobody would answer it


def test_the_comparison_is_a_page_with_the_images_that_changed(retrained: Path, tmp_path: Path) -> None:
    """Each with its class, and what the model predicts that is wrong."""
    text = page(retrained, tmp_path / "compare.html", "compare", "1", "2")
    paired = answer(retrained, "compare", "1", "2")["paired"]
    assert text.count("<img") == min(paired["gained"], 24) + min(paired["lost"], 24)
    assert paired["gained"] + paired["lost"]
    for image in (*paired["gained_images"][:24], *paired["lost_images"][:24]):
        assert image in text
    assert "train.seed 0 -&gt; 1" in text


def test_a_page_that_cannot_be_written_is_an_error(retrained: Path, tmp_path: Path) -> None:
    """With its name and the reason."""
    done = command(retrained, "history", "--html", str(tmp_path / "gone" / "models.html"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {tmp_path}/gone/models.html cannot be written (No such file or directory); give --html another file\n"
    )
