"""The DAGs `rollback` and `promote_version`: their forms, their pages, and the command that the form becomes."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from airflow.sdk import DAG, Context

from components.registry import promotion_log
from components.registry.promotion_log import Action, Champion
from pipeline.airflow import registry_dags
from pipeline.airflow.assets import CHAMPIONS
from pipeline.airflow.external_python import Child
from pipeline.airflow.project import Project
from pipeline.airflow.registry_dags import (
    RegistryCommand,
    promote_command,
    promote_version,
    rollback,
    rollback_command,
)


@pytest.fixture
def logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace in whose log version 3 of pets is champion after 1 and 2, and 4 was rejected."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    before = Champion(None, "")
    moves: tuple[tuple[Action, str], ...] = (("promote", "1"), ("force", "2"), ("promote", "3"), ("reject", "4"))
    for action, version in moves:
        after = Champion(version, f"sha{version}")
        line = promotion_log.promotion(
            "pets", action, before, after, f"reason | {version}", "ada", None, "2026-11-27T08:30:00"
        )
        promotion_log.append(tmp_path / "promotions.jsonl", line)
        before = after
    return tmp_path


def schema(dag: DAG, name: str) -> dict[str, object]:
    return dag.params.get_param(name).schema


def test_the_form_of_rollback_knows_models_and_former_champions(logged: Path) -> None:
    """A model without a champion starts no run; the versions are suggestions, the present champion is none."""
    dag = rollback(Project())
    assert schema(dag, "model")["enum"] == ["pets", None]
    assert schema(dag, "version")["examples"] == ["2", "1"]
    assert promote_version(Project()).params.get_param("version").schema["pattern"] == registry_dags.NUMBER


def test_the_page_lists_the_champions_the_present_one_first(logged: Path) -> None:
    page = rollback(Project()).doc_md or ""
    rows = [line for line in page.splitlines() if line.startswith("| pets")]
    assert rows == [rf"| pets | {n} | 2026-11-27 08:30 | ada | reason \| {n} |" for n in "321"]
    assert "of other" not in page


def test_without_a_history_any_model_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    assert "enum" not in schema(rollback(Project()), "model")
    assert "No model has been promoted yet." in (rollback(Project()).doc_md or "")


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"version": None, "reason": None}, ["rollback"]),
        ({"version": "2", "reason": "-x"}, ["rollback", "--to=2", "--reason=-x"]),
    ],
)
def test_the_form_becomes_the_command(form: dict[str, str | None], words: list[str]) -> None:
    assert rollback_command(form) == words
    assert promote_command({"version": "2", "reason": "x"}) == ["promote", "2", "--force", "--reason=x"]


def test_the_champion_is_reported_and_the_user_named(logged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a run, so that a deployment that follows the champion's asset is started."""
    ran: list[tuple[str, ...]] = []
    facts = {"made": True, "name": "pets", "version": "2", "digest": "d", "accuracy": 0.9}

    def command(child: Child, *words: str) -> dict[str, object]:
        ran.append(words)
        return facts

    monkeypatch.setattr(Child, "command", command)
    added: list[object] = []
    events = {CHAMPIONS: SimpleNamespace(add=lambda asset, extra: added.append((asset.uri, extra)))}
    task = rollback(Project()).get_task("rollback")
    assert isinstance(task, RegistryCommand)
    ti = SimpleNamespace(dag_id="rollback", run_id="manual__1", try_number=1, max_tries=3, task=task)
    run = SimpleNamespace(triggering_user_name="ada")
    form = {"model": "pets", "version": "2", "reason": "no"}
    task.execute(cast("Context", {"ti": ti, "dag_run": run, "params": form, "outlet_events": events}))
    assert ran == [("rollback", "--to=2", "--reason=no", "--name=pets", "--by=ada", "--run=rollback-manual__1")]
    assert added == [("models://pets/champion", {"version": "2", "digest": "d", "accuracy": 0.9, "report": ""})]


def test_each_model_has_its_own(logged: Path) -> None:
    """Under the name of its settings file; an empty field of the form stands for its model."""
    dag = promote_version(Project(name="receipts", settings={**Project().settings, "register.name": "receipts"}))
    assert dag.dag_id == "receipts_promote_version"
    assert dag.params.get_param("model").description == "registered model (empty: receipts)"
