"""Messages of the pipeline as Airflow's UI words them: nothing to type, and every advice can be followed there."""

import re
from collections.abc import Iterator

import pytest

from components.advice import Action, Command, Run, Stage, actions
from components.errors import DataRejected, ModelRejected
from components.printed_commands import PREFIX
from pipeline import config
from pipeline.airflow.params_form import FORCE, form, read_settings
from pipeline.airflow.wording import in_airflow, problem
from pipeline.cli.main import COMMANDS
from pipeline.graph import STAGES
from tests.support.messages import texts

SHELL = re.compile(r"python -m|\bmake (?:pipeline|mlflow|airflow|setup|tensorboard|up|test)\b|--\w")


def shell_texts() -> dict[str, list[str]]:
    """By file and line, the texts that hold something to type, with a name and with a number for what is computed."""
    found: dict[str, list[str]] = {}
    for placeholder in ("x", "7"):
        for place, text in texts(placeholder):
            if SHELL.search(text) and text != PREFIX:  # the program's name alone is a tag
                found.setdefault(place, []).append(text)
    return found


def advice() -> Iterator[tuple[str, Action]]:
    for place, versions in shell_texts().items():
        for action in actions(versions[0]):
            yield place, action


def test_no_message_of_a_task_has_anything_to_type() -> None:
    """Whatever in the source may be printed or raised, in Airflow's words it holds no command and no option."""
    left = {
        place: in_airflow(versions[-1])
        for place, versions in shell_texts().items()
        if all(re.search(r"python -m|\bmake (?:pipeline|mlflow)|--set", in_airflow(text)) for text in versions)
    }
    assert left == {}


def test_every_setting_that_is_advised_can_be_given_in_the_form() -> None:
    """Its name is a field, and its value is accepted; "x" and "xx" stand for values that are computed."""
    fields = form(read_settings()[0])
    advised = [(place, action) for place, action in advice() if isinstance(action, Run)]
    assert len(advised) > 30
    for place, action in advised:
        for name, value in action.settings.items():
            assert name in fields or "x" in name.split("."), place
            if name in fields and value not in ("x", "xx", "...", "NAME", "FOLDER", "COLUMN"):
                assert config.read("", [f"{name}={value}"], environment={}), place
        if action.force:
            assert action.force in fields[FORCE].schema["enum"], place


def test_every_stage_and_command_that_is_advised_exists() -> None:
    """Stages are tasks of the DAG, which can be cleared."""
    for place, action in advice():
        if isinstance(action, Stage):
            assert action.name in (*STAGES, "x"), place
        if isinstance(action, Command) and not action.words.startswith("make "):
            assert action.words.partition(" ")[0] in COMMANDS, place


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "97 % is below the gate; train longer with --set train.epochs=16, or look at the mistakes: "
            "python -m pipeline report",
            "97 % is below the gate; train longer: *Trigger* a run with train.epochs=16, or look at the mistakes in "
            "the run's report",
        ),
        (
            "train has not run with these settings; run 'python -m pipeline stage train' first, or everything with "
            "'make pipeline'",
            "train has not run with these settings; *Clear* `train` with *downstream*",
        ),
        (
            "Measure again on a quiet machine with python -m pipeline run --force export, or train a smaller network",
            "Measure again on a quiet machine: *Trigger* a run with force=export, or train a smaller network",
        ),
        (
            "Train a smaller network, such as --set train.width=0.5, or allow more with --set gate.max_bytes=7",
            "Train a smaller network: *Trigger* a run with train.width=0.5, for example, or allow more: *Trigger* a "
            "run with gate.max_bytes=7",
        ),
        (
            "start it (make mlflow) or set MLFLOW_TRACKING_URI, and try again; a run keeps everything before register",
            "start it (http://127.0.0.1:5000) or set MLFLOW_TRACKING_URI, and try again; a run keeps everything before "
            "register",
        ),
        (
            "was rejected by ada; to promote it all the same: python -m pipeline promote 3 --force --reason TEXT",
            "was rejected by ada; to promote it all the same: *Trigger* `promote_version` with version=3",
        ),
        (
            "restore another version with python -m pipeline rollback",
            "restore another version: *Trigger* `rollback`",
        ),
        (
            "decide manually with python -m pipeline promote VERSION --force --reason TEXT",
            "decide manually: *Trigger* `promote_version`",
        ),
        ("version 3 waits: python -m pipeline promote --pending", "version 3 waits: *Required Actions*"),
        ("free some space (python -m pipeline gc)", "free some space (the pipeline's command `gc`)"),
    ],
)
def test_advice_is_what_to_click(text: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """*Trigger* with a setting, *Clear* a task, a page to look at; a command where the UI has none of these."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert in_airflow(text) == expected


@pytest.mark.parametrize(
    ("own", "advised"),
    [
        ("retrain", "rollback"),
        ("receipts_retrain", "receipts_rollback"),
        ("my_rollback", "my_rollback"),
        ("", "rollback"),
    ],
)
def test_the_dag_that_is_advised_is_that_of_the_model(own: str, advised: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One Airflow may have many models, each with DAGs of its own."""
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", own)
    assert in_airflow("restore another version with python -m pipeline rollback").endswith(f"*Trigger* `{advised}`")


def test_a_run_that_is_advised_takes_what_the_form_of_this_one_had() -> None:
    """Else it would train on other images."""
    form = {"ingest.source": "digits", "train.epochs": 3, "gate.min_accuracy": None, "force": "train"}
    refused = ModelRejected("below the gate; train longer with --set train.epochs=6")
    assert problem(refused, form) == (
        "below the gate; train longer: *Trigger* a run with train.epochs=6; keep this run's ingest.source=digits"
    )
    assert problem(DataRejected("no images"), form) == "no images"
