"""The challenger beside the champion: counts, and what they bound."""

import numpy as np
import pytest

from components.inference import shadow_counts
from components.inference.published import Published, of_version
from components.registry.client import CHALLENGER
from components.registry.model_version import ModelVersion
from serving.champion import Champion
from serving.loaded_model import LoadedModel
from serving.shadow import Shadow
from tests.support.served_versions import Versions, expected

IMAGES = np.random.default_rng(5).integers(0, 256, (200, 28, 28, 1), np.uint8)


def champion_and_shadow(versions: Versions) -> tuple[LoadedModel, Shadow]:
    def locate(version: ModelVersion) -> Published:
        return of_version(version, versions.home / "exports")

    champion, challenger = (
        Champion(versions.registry, versions.name, locate, lambda *_: None, alias) for alias in ("champion", CHALLENGER)
    )
    champion.look()
    challenger.look()
    assert champion.model
    return champion.model, Shadow(challenger, 1.0, versions.home / "shadow")


def test_disagreements_are_counted_and_bound(versions: Versions) -> None:
    """The bound lies above their share, and begins again with another challenger."""
    versions.add(champion=True)
    versions.point(versions.add(), CHALLENGER)
    model, shadow = champion_and_shadow(versions)
    assert shadow.counts.bound == 1.0
    answers = model.probabilities(IMAGES).argmax(axis=1)
    agrees = shadow.compare(IMAGES, answers, model)
    assert agrees == (expected(IMAGES, 2).argmax(axis=1) == answers).tolist()
    assert (shadow.images, shadow.disagreements) == (200, agrees.count(False))
    assert agrees.count(False) / 200 < shadow.counts.bound <= 1
    versions.point(versions.add(), CHALLENGER)
    shadow.challenger.look()
    shadow.compare(IMAGES[:50], answers[:50], model)
    assert (shadow.pair, shadow.images) == (("1", "3"), 50)


def test_the_counts_of_servers_that_were_started_again_add_up(versions: Versions) -> None:
    """In the files, by pair of versions; a torn line of a crash is left out."""
    versions.add(champion=True)
    versions.point(versions.add(), CHALLENGER)
    for count in (200, 30):
        model, shadow = champion_and_shadow(versions)
        answers = model.probabilities(IMAGES).argmax(axis=1)
        for images in (IMAGES[: count // 2], IMAGES[count // 2 : count]):  # the second within the same half minute
            shadow.compare(images, answers[: len(images)], model)
        shadow.store()
        shadow.store()
    folder = versions.home / "shadow"
    with (folder / versions.name / "1-2.jsonl").open("a") as file:
        file.write('{"images": 10')
    counts = shadow_counts.read(folder, versions.name, "1", "2")
    assert counts
    assert counts.images == 230
    assert shadow_counts.read(folder, versions.name, "2", "1") is None


def test_a_folder_that_cannot_be_written_is_reported_once(
    versions: Versions, capsys: pytest.CaptureFixture[str]
) -> None:
    """The counts are kept, and stored where it can be written again."""
    versions.add(champion=True)
    versions.point(versions.add(), CHALLENGER)
    (versions.home / "shadow").write_text("no folder")
    model, shadow = champion_and_shadow(versions)
    answers = model.probabilities(IMAGES).argmax(axis=1)
    shadow.compare(IMAGES, answers, model)
    shadow.store()
    shadow.store()
    assert capsys.readouterr().err.count("what the challenger answered cannot be stored in") == 1
    (versions.home / "shadow").unlink()
    shadow.store()
    counts = shadow_counts.read(versions.home / "shadow", versions.name, "1", "2")
    assert counts == shadow.counts
    assert counts
    assert counts.images == 200


@pytest.mark.parametrize("labels", [("a", "b"), tuple("9876543210")])
def test_a_challenger_of_another_kind_is_not_compared(versions: Versions, labels: tuple[str, ...]) -> None:
    """Other classes: their answers say nothing about each other."""
    versions.add(champion=True)
    other = Versions(versions.home, versions.name, labels=labels)
    other.point(other.add(), CHALLENGER)
    model, shadow = champion_and_shadow(versions)
    assert shadow.compare(IMAGES, model.probabilities(IMAGES).argmax(axis=1), model) == []


def test_a_champion_is_not_compared_with_itself(versions: Versions) -> None:
    """After a promotion both aliases may point at one version."""
    number = versions.add(champion=True)
    versions.point(number, CHALLENGER)
    model, shadow = champion_and_shadow(versions)
    assert shadow.compare(IMAGES, model.probabilities(IMAGES).argmax(axis=1), model) == []


@pytest.mark.parametrize(("share", "sampled"), [(0.0, 0), (1.0, 100)])
def test_the_share_is_that_of_the_setting(versions: Versions, share: float, sampled: int) -> None:
    """None, or all."""
    challenger = Champion(versions.registry, "x", lambda _: None, lambda *_: None)  # type: ignore[arg-type, return-value]
    shadow = Shadow(challenger, share, versions.home / "shadow")
    assert sum(shadow.samples() for _ in range(100)) == sampled
