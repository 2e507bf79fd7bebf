"""Airflow's UI as a person meets it, in a real Chromium. The pictures are kept in test-artifacts/."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from pipeline.graph import STAGES
from tests.conftest import ROOT
from tests.dags.browser import Page, browser
from tests.dags.served import Served, digits

pytestmark = pytest.mark.airflow

PICTURES = ROOT / "test-artifacts"


@pytest.fixture(scope="module")
def page(served: Served, first: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of somebody who has signed in."""
    with browser(tmp_path_factory.mktemp("chromium")) as page:
        page.open(f"{served.api.url}/")
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", served.password)
        page.click("button[type=submit]")
        page.wait("!location.pathname.includes('login')")
        yield page


@pytest.fixture(scope="module")
def refused(served: Served) -> str:
    run = served.trigger(digits(gate__min_accuracy=0.9999))
    assert served.finished(run)[0] == "failed"
    return run


def test_the_dags_are_listed(served: Served, page: Page) -> None:
    """All three DAGs, with their tags and when they run next."""
    page.open(f"{served.api.url}/dags")
    page.shows("retrain", "retrain_on_new_data", "watch_data", "pipeline", "images of the source")
    page.picture(PICTURES / "airflow-dags.png")


def test_a_run_is_started_from_the_form(served: Served, page: Page) -> None:
    """The form offers source, model, epochs, seed and gate first; what is filled in starts a run that goes through."""
    before = {run["dag_run_id"] for run in served.runs("retrain")}
    page.open(f"{served.api.url}/dags/retrain")
    page.click("[data-testid=trigger-dag-button]", "Trigger")
    page.shows("ingest.source", "train.model", "train.epochs", "train.seed", "gate.min_accuracy", "most epochs")
    page.fill("[name='element_ingest.source']", "digits")
    page.picture(PICTURES / "airflow-form.png")
    page.click("[role=dialog] button:not([disabled])", "Trigger")
    [run] = served.until(lambda: [r for r in served.runs("retrain") if r["dag_run_id"] not in before])
    assert run["conf"]["ingest.source"] == "digits"
    served.succeeded(run["dag_run_id"])
    show_graph(served, page, run["dag_run_id"])
    page.shows("Success", *STAGES)
    page.picture(PICTURES / "airflow-succeeded.png")


def test_a_refused_run_says_why(served: Served, page: Page, refused: str) -> None:
    """`evaluate` is red and what comes after it orange; its log says by how much, its links lead to the report."""
    show_graph(served, page, refused)
    page.shows("failed", "upstream_failed")
    page.picture(PICTURES / "airflow-refused.png")
    task = f"{served.api.url}/dags/retrain/runs/{quote(refused)}/tasks/evaluate"
    page.open(task)
    page.shows("points below the gate of 99.99 % (gate.min_accuracy)")
    page.picture(PICTURES / "airflow-refused-log.png")
    page.open(f"{task}/details")
    page.shows("Extra Links", "Report", "MLflow run")
    page.open(page.wait("(document.querySelector('a[href*=\"report.html\"]') || {}).href"))
    page.shows("Refused at evaluate")
    page.picture(PICTURES / "airflow-report.png")


def show_graph(served: Served, page: Page, run: str) -> None:
    page.open(f"{served.api.url}/dags/retrain/runs/{quote(run)}")
    page.click('[aria-label*="Show Graph"]')
    page.wait("document.querySelectorAll('.react-flow__node').length >= 8")
