"""The task `approve` without a running Airflow: whom it asks, what it shows, and what becomes of the answer."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from components.registry.approval import Answer, later, now
from pipeline.airflow import task
from pipeline.airflow.approval import REQUEST, Approve, answer_of
from pipeline.airflow.approval_body import body
from pipeline.airflow.assets import Promote
from pipeline.airflow.task import StageResult
from pipeline.run_record import RunRecord

TABLE = [["", "version 3 @challenger", "version 2 @champion"], ["accuracy", "98.00 % (97.00 to 99.00)", "97.00 %"]]
DIFFERENCES = [["gained", "3 | <b>.png"], ["lost", ""], ["changes", "train.seed 0 -> 1"], ["", "numpy 1 -> 2"]]


def request(hours: float = 5) -> dict[str, Any]:
    until = later(now(), hours)
    about = {"name": "m", "version": "3", "champion": "2", "until": until}
    return {**about, "table": TABLE, "differences": DIFFERENCES}


class Pushes(SimpleNamespace):
    """A task instance with its XComs, by key, and those of the other tasks, by task."""

    def __init__(self, **of_tasks: object) -> None:
        super().__init__(dag_id="retrain", run_id="manual__1", task_id="approve", try_number=1, map_index=-1, pushed={})
        self.max_tries = 3
        self.of_tasks = of_tasks

    def xcom_push(self, key: str, value: object) -> None:
        self.pushed[key] = value

    def xcom_pull(self, task_ids: str, key: str = "") -> object:
        return self.pushed.get(key) if key else self.of_tasks.get(task_ids)


def context(ti: Pushes, task: Approve | None = None, approval: str | None = "always") -> Context:
    form, run = {"promote.approval": approval}, SimpleNamespace(run_type="manual")
    return cast("Context", {"ti": ti, "task_instance": ti, "task": task, "params": form, "dag_run": run})


class Asking(Approve):
    """Learns from the pipeline what *answer* says."""

    answer: dict[str, Any]

    def perform(self, settings: Sequence[str], run: str, **how: Any) -> dict[str, Any]:
        assert how == {"ask": True}
        return self.answer


@pytest.fixture(autouse=True)
def _in_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.setattr(task, "mask_secret", lambda _: None)


@pytest.fixture
def parked(monkeypatch: pytest.MonkeyPatch) -> list[HITLOperator]:
    """The operators that wait for an answer."""
    waiting: list[HITLOperator] = []
    monkeypatch.setattr(HITLOperator, "execute", lambda self, _: waiting.append(self))
    return waiting


def approve(answer: dict[str, Any]) -> Asking:
    operator = Asking(task_id="approve")
    operator.answer = answer
    return operator


def test_nothing_is_asked_by_default(parked: list[HITLOperator]) -> None:
    """The task is skipped before it has looked at anything; `promote` then runs all the same."""
    with pytest.raises(AirflowSkipException, match=r"promote\.approval is never"):
        Approve(task_id="approve").execute(context(Pushes(), approval=None))
    assert not parked
    assert Promote(stage="promote", task_id="promote", trigger_rule="none_failed").trigger_rule == "none_failed"


def test_it_is_skipped_where_the_test_decides(parked: list[HITLOperator]) -> None:
    with pytest.raises(AirflowSkipException, match="nobody has to decide"):
        approve({"outcome": "refused"}).execute(context(Pushes(), approval="undecided"))
    assert not parked


def test_what_is_asked_and_until_when(
    parked: list[HITLOperator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline is that of the request, also where the task is cleared; who answers may give a reason.

    Who is notified has the address at which to answer.
    """
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org")
    ti, operator = Pushes(), approve({"request": request(5)})
    operator.execute(context(ti, operator))
    notification = json.loads((tmp_path / "notifications.jsonl").read_text())
    assert notification["event"] == "waiting"
    assert notification["text"].startswith("m version 3 waits for a decision until 2")
    assert notification["text"].endswith(
        "; https://airflow.example.org/dags/retrain/runs/manual__1/tasks/approve/required_actions?map_index=-1"
    )
    assert parked == [operator]
    assert operator.subject == "Promote version 3 of m?"
    assert (operator.options, operator.defaults) == (["Approve", "Reject", "Hold"], ["Reject"])
    assert list(operator.params) == ["reason"]
    assert operator.response_timeout
    assert 4.9 < operator.response_timeout.total_seconds() / 3600 <= 5
    assert ti.pushed[REQUEST]["version"] == "3"


@pytest.mark.parametrize(
    ("user", "option", "expected"),
    [
        ({"id": "7", "name": "ada"}, "Approve", ("approve", "ada", "looks good")),
        (
            None,
            "Reject",
            ("reject", "the deadline", "nobody decided until 2026-11-27 09:00 UTC (promote.approval_hours)"),
        ),
    ],
)
def test_the_answer_reaches_promote(user: dict[str, str] | None, option: str, expected: tuple[str, ...]) -> None:
    """Who, what, when and why, about the version and the champion that were shown."""
    ti = Pushes()
    ti.pushed[REQUEST] = request() | {"until": "2026-11-27T09:00:00+00:00"}
    event = {
        "chosen_options": [option],
        "params_input": {"reason": "looks good"},
        "responded_at": datetime(2026, 11, 27, 8, 30, tzinfo=UTC),
        "responded_by_user": user,
    }
    given = Approve(task_id="approve").execute_complete(context(ti), event)
    decision, who, reason = expected
    answer = answer_of(context(Pushes(approve=given)))
    assert answer == Answer(decision, "3", "2", who, reason, "2026-11-27T08:30:00+00:00")  # type: ignore[arg-type]


def test_promote_that_would_have_to_ask_fails_with_what_to_click(monkeypatch: pytest.MonkeyPatch) -> None:
    """The champion has changed since somebody approved: *Clear* asks again."""
    done = dict.fromkeys(StageResult.__annotations__, "") | {
        "promotion": {"outcome": "waiting", "reason": "version 3 waits"}
    }
    monkeypatch.setattr(Promote, "performed", lambda *_: done)
    with pytest.raises(AirflowFailException, match=r"^version 3 waits, .*\*Clear\* `approve` with \*downstream\*$"):
        Promote(stage="promote", task_id="promote").execute(context(Pushes()))


def test_the_text_is_markdown_that_shows_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table, a line for each difference that there is, and the links of the run."""
    monkeypatch.setenv("PIPELINE_MLFLOW_UI", "https://mlflow.example.org")
    record = RunRecord(
        "r", "", report="/home/runs/r/report.html", mlflow_run="abc", model={"name": "m", "version": "3"}
    )
    lines = body(request(), record).splitlines()
    assert lines[2:5] == [
        "|  | version 3 @challenger | version 2 @champion |",
        "| --- | --- | --- |",
        "| accuracy | 98.00 % (97.00 to 99.00) | 97.00 % |",
    ]
    assert lines[6:8] == [r"* gained: 3 \| \<b\>.png", r"* changes: train.seed 0 -\> 1; numpy 1 -\> 2"]
    assert "/pipeline/runs/r/report.html) · [MLflow run](https://mlflow.example.org/" in lines[-1]
