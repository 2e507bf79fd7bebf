"""Airflow's UI as a user sees it, in a real Chromium. The screenshots are kept in test-artifacts/."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from pipeline.config import SETTINGS
from pipeline.graph import STAGES
from tests.conftest import ROOT
from tests.support.airflow_server import Served
from tests.support.chromium import Page, browser

pytestmark = pytest.mark.airflow

SCREENSHOTS = ROOT / "test-artifacts"
EMBEDDED = "(document.querySelector('iframe')?.contentDocument?.body?.innerText || '')"  # text of a page of the plugin


@pytest.fixture(scope="module")
def page(served: Served, first: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of a user who has signed in."""
    with browser(tmp_path_factory.mktemp("chromium")) as page:
        page.open(f"{served.api.url}/")
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", served.password)
        page.click("button[type=submit]")
        page.wait("!location.pathname.includes('login')")
        yield page


def test_the_dags_are_listed(served: Served, page: Page) -> None:
    """All DAGs, with their tags and when they run next."""
    page.open(f"{served.api.url}/dags")
    page.shows("retrain", "housekeeping", "pipeline", "images of the source")
    page.screenshot(SCREENSHOTS / "airflow-dags.png")


def test_a_run_is_started_from_the_form(served: Served, page: Page) -> None:
    """The form offers source, model, epochs, seed and gate first; submitted, it starts a run that succeeds."""
    before = {run["dag_run_id"] for run in served.runs("retrain")}
    page.open(f"{served.api.url}/dags/retrain")
    page.click("[data-testid=trigger-dag-button]", "Trigger")
    page.shows("ingest.source", "train.model", "train.epochs", "train.seed", "gate.min_accuracy")
    page.shows(SETTINGS["train.epochs"].metadata["help"])
    page.fill("[name='element_ingest.source']", "digits")
    page.screenshot(SCREENSHOTS / "airflow-form.png")
    page.click("[role=dialog] button:not([disabled])", "Trigger")
    [run] = served.until(lambda: [r for r in served.runs("retrain") if r["dag_run_id"] not in before])
    assert run["conf"]["ingest.source"] == "digits"
    served.succeeded(run["dag_run_id"])
    assert served.shown(run["dag_run_id"])["conf"] == {"ingest.source": "digits"}  # without the empty fields
    show_graph(served, page, run["dag_run_id"])
    page.shows("success", *STAGES)
    page.screenshot(SCREENSHOTS / "airflow-succeeded.png")


def test_a_refused_run_says_why(served: Served, page: Page, refused: str) -> None:
    """`evaluate` is red and the tasks after it orange; its log says by how much, its links lead to the report."""
    show_graph(served, page, refused)
    page.shows("failed", "upstream_failed")
    page.screenshot(SCREENSHOTS / "airflow-refused.png")
    page.open(task(served, refused, "evaluate"), height=480)
    page.shows("points below the gate of 99.99 % (gate.min_accuracy)")
    page.click('[aria-label*="fullscreen"]')
    page.wait("!!document.querySelector('[role=dialog]')")
    page.screenshot(SCREENSHOTS / "airflow-refused-log.png")
    follow(served, page, refused, "evaluate", "Report")
    page.shows("Refused at evaluate")
    page.screenshot(SCREENSHOTS / "airflow-report.png")


def test_the_report_is_a_tab_of_the_run(served: Served, page: Page, refused: str) -> None:
    """Beside Airflow's own, also where the run failed."""
    page.open(f"{served.api.url}/dags/retrain/runs/{quote(refused)}/plugin/report")
    page.wait(f"{EMBEDDED}.includes('Refused at evaluate')")
    page.screenshot(SCREENSHOTS / "airflow-report-tab.png")


def test_the_models_are_a_page(served: Served, page: Page, first: str, refused: str) -> None:
    """In the navigation: each event of each model, with a link to the report of its run."""
    page.open(f"{served.api.url}/plugin/models")
    page.wait(f"{EMBEDDED}.includes('digits-classifier')")
    shown = page.run(EMBEDDED)
    assert "refused" in shown
    assert "promoted" in shown
    page.screenshot(SCREENSHOTS / "airflow-models.png")
    page.run("document.querySelector('iframe').contentDocument.querySelector('td a').click()")
    page.wait(f"{EMBEDDED}.includes('Accuracy on the test split')")


def test_two_versions_are_compared_in_the_ui(served: Served, page: Page, first: str) -> None:
    """An unknown version is a sentence, not a traceback."""
    page.open(f"{served.api.url}/pipeline/compare?model=digits-classifier&before=1&after=champion")
    page.shows("Version 1", "Figures", "What they were made with", "Models")
    page.open(f"{served.api.url}/pipeline/compare?model=digits-classifier&before=1&after=99")
    page.shows("digits-classifier has no version 99")


def test_a_run_without_a_report_says_so(served: Served, page: Page, first: str) -> None:
    """As one that has just begun; the tab looks again by itself."""
    page.open(f"{served.api.url}/pipeline/of/retrain/manual__1")
    page.shows("No report", "manual__1 of retrain")


def test_the_links_of_a_run_lead_to_its_model(served: Served, page: Page, first: str) -> None:
    """MLflow's UI, which `make airflow` starts too, shows the run and the version that the links of the task name."""
    follow(served, page, first, "promote", "MLflow run")
    page.shows(served.record(first).mlflow_run)
    follow(served, page, first, "promote", "Model version")
    page.shows("digits-classifier", "Version 1", "champion")
    page.screenshot(SCREENSHOTS / "mlflow-version.png")


def task(served: Served, run: str, name: str) -> str:
    return f"{served.api.url}/dags/retrain/runs/{quote(run)}/tasks/{name}"


def follow(served: Served, page: Page, run: str, name: str, link: str) -> None:
    """Click the link on the page of the task."""
    page.open(f"{task(served, run, name)}/details")
    page.shows("Extra Links", link)
    page.open(
        page.wait(f"([...document.querySelectorAll('a')].find(a => a.innerText === {json.dumps(link)}) || {{}}).href")
    )


def show_graph(served: Served, page: Page, run: str) -> None:
    """The graph alone: eight tasks in a line, without the details beside it."""
    page.open(f"{served.api.url}/dags/retrain/runs/{quote(run)}", height=560)
    page.click('[aria-label*="Show Graph"]')
    page.click('[aria-label="Collapse Details Panel"]')
    page.wait("document.querySelectorAll('.react-flow__node').length >= 8")
    page.click(".react-flow__controls-fitview")
