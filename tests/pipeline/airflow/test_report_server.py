"""The pages of Airflow's API server, for models of two workspaces."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.api_fastapi.core_api.security import get_user
from fastapi.testclient import TestClient

from pipeline.airflow.report_server import app
from tests.conftest import QUICK, command

SETTINGS = [part for setting in QUICK for part in ("--set", setting)]
NAME = "receipts"


@pytest.fixture(scope="module")
def homes(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of all models, beside which receipts_retrain has one of its own. Not to be changed."""
    folder = tmp_path_factory.mktemp("homes")
    default, other = folder / "default", folder / "other"
    for home in (default, other):
        shutil.copytree(finished, home)
    done = command(other, "run", "--source", "digits", *SETTINGS, "--set", f"register.name={NAME}")
    assert done.returncode == 0, done.stderr
    (default / "homes").mkdir()
    (default / "homes" / f"{NAME}_retrain").write_text(str(other))
    return folder


@pytest.fixture
def client(homes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """What a user who is signed in sees."""
    monkeypatch.setenv("PIPELINE_HOME", str(homes / "default"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    app.dependency_overrides[get_user] = lambda: None
    yield TestClient(app)
    app.dependency_overrides.clear()


def reports(home: Path) -> list[str]:
    """The runs of *home* that have a report."""
    return sorted(report.parent.name for report in home.glob("runs/*/report.html"))


def test_the_models_of_every_workspace_are_on_one_page(client: TestClient, homes: Path) -> None:
    """With links to the reports of both."""
    page = client.get("/models").text
    assert NAME in page
    assert "digits-classifier" in page
    [own] = set(reports(homes / "other")) - set(reports(homes / "default"))
    assert f'href="runs/{own}/report.html"' in page
    assert client.get(f"/runs/{own}/report.html").status_code == 200


@pytest.mark.parametrize("model", [NAME, "digits-classifier"])
def test_versions_of_either_workspace_are_compared(client: TestClient, model: str) -> None:
    """With the figures that its own artifacts hold."""
    answer = client.get("/compare", params={"model": model, "before": "1", "after": "champion"})
    assert answer.status_code == 200
    assert "What they were made with" in answer.text
    assert "accuracy" in answer.text


@pytest.mark.parametrize(
    ("model", "version", "problem"),
    [(NAME, "99", "receipts has no version 99"), ("cats", "1", "no model is called cats")],
)
def test_what_no_workspace_knows_is_a_sentence(client: TestClient, model: str, version: str, problem: str) -> None:
    answer = client.get("/compare", params={"model": model, "before": version, "after": "champion"})
    assert answer.status_code == 404
    assert problem in answer.text
