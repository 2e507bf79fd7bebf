"""The events of the champion's asset."""

from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import Asset, AssetAlias, Context

from pipeline.airflow.assets import CHAMPIONS, champion, champions, images, report_champion
from pipeline.airflow.params_form import read_settings
from pipeline.airflow.project import Project

ABOUT = {"digest": "abc", "accuracy": 0.99}


class Emitted:
    """What a task says of one of its outlets."""

    def __init__(self) -> None:
        self.extra: dict[str, Any] = {}
        self.added: list[tuple[Asset, dict[str, Any]]] = []

    def add(self, asset: Asset, extra: dict[str, Any]) -> None:
        self.added.append((asset, extra))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A model whose name is in its settings."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.setenv("PIPELINE_REGISTER_NAME", "receipts")
    return Project("", "receipts", read_settings()[0])


def after(project: Project, made: str) -> tuple[list[Asset | AssetAlias], dict[object, Emitted]]:
    """The outlets that `promote` leaves to Airflow, and its events, where the model *made* is the new champion."""
    outlets, events = champions(project), defaultdict[object, Emitted](Emitted)
    ti = SimpleNamespace(task=SimpleNamespace(outlets=outlets), dag_id="receipts_retrain", run_id="manual")
    model = {"name": made, "version": "3", "aliases": ["champion"]} if made else None
    report_champion(cast("Context", {"ti": ti, "outlet_events": events}), cast("Any", model), ABOUT)
    return outlets, events


def test_a_new_champion_is_an_event_of_its_model(project: Project) -> None:
    """With version, digest, accuracy and a link to the report."""
    outlets, events = after(project, "receipts")
    assert outlets == [champion("receipts"), CHAMPIONS]
    assert events[champion("receipts")].extra == {"version": "3", **ABOUT, "report": ""}
    assert not events[CHAMPIONS].added


def test_the_champion_of_another_model_is_an_event_of_that(project: Project) -> None:
    """The form named another source: the project's own champion did not change."""
    outlets, events = after(project, "digits-classifier")
    assert outlets == [CHAMPIONS]
    [(asset, extra)] = events[CHAMPIONS].added
    assert (asset, extra["version"]) == (champion("digits-classifier"), "3")


def test_a_champion_that_stays_is_no_event(project: Project) -> None:
    """Airflow would report one for each outlet of a task that succeeds."""
    assert after(project, "")[0] == []


def test_models_have_images_of_their_own(project: Project) -> None:
    """New images of one start no run of another."""
    assert images(project).uri != images(Project()).uri
    assert images(project).name == "images of receipts"
