"""The challenger beside the champion: counts, and what they bound."""

import numpy as np
import pytest

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
    return champion.model, Shadow(challenger, share=1.0)


def test_disagreements_are_counted_and_bound(versions: Versions) -> None:
    """The bound lies above their share, and begins again with another challenger."""
    versions.add(champion=True)
    versions.point(versions.add(), CHALLENGER)
    model, shadow = champion_and_shadow(versions)
    assert shadow.bound == 1.0
    answers = model.probabilities(IMAGES).argmax(axis=1)
    agrees = shadow.compare(IMAGES, answers, model)
    assert agrees == (expected(IMAGES, 2).argmax(axis=1) == answers).tolist()
    assert (shadow.images, shadow.disagreements) == (200, agrees.count(False))
    assert agrees.count(False) / 200 < shadow.bound <= 1
    versions.point(versions.add(), CHALLENGER)
    shadow.challenger.look()
    shadow.compare(IMAGES[:50], answers[:50], model)
    assert (shadow.pair, shadow.images) == (("1", "3"), 50)


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
    shadow = Shadow(Champion(versions.registry, "x", lambda _: None, lambda *_: None), share)  # type: ignore[arg-type, return-value]
    assert sum(shadow.samples() for _ in range(100)) == sampled
