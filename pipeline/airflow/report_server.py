"""What Airflow's API server shows of the models to users who are signed in.

/pipeline/runs/RUN/report.html     the report of a run
/pipeline/of/DAG_ID/RUN_ID         the same, by Airflow's names: the tab Report of a run
/pipeline/models                   the history of every registered model: the page Models
/pipeline/compare                  two versions side by side: ?model=NAME&before=1&after=2
"""

import re
from urllib.parse import quote

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse

from components.errors import Failure, Unavailable
from components.registry.client import Registry
from pipeline.airflow.project import home_of, homes
from pipeline.airflow.run_names import run_name
from pipeline.airflow.wording import FOR_GOOD, in_airflow
from pipeline.home import Home
from pipeline.model_comparison import ModelComparison, find, of_versions
from pipeline.model_history import events
from pipeline.model_pages import comparison_page, message_page, models_page
from pipeline.run_record import load

SECONDS = 10  # until the tab of a run that has no report yet is loaded again

app = FastAPI(
    title="Reports and models of the pipeline",
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
    dependencies=[Depends(get_user)],
)


@app.get("/runs/{run}/report.html", response_class=FileResponse)
def report(run: str) -> FileResponse:
    """The report of *run*; no other file can be reached."""
    if re.fullmatch(r"\w[\w.-]*", run):
        for home in homes():
            if (file := home.runs / run / "report.html").is_file():
                return FileResponse(file, media_type="text/html")
    raise HTTPException(404, f"no run called {run} has a report")


@app.get("/of/{dag_id}/{run_id}", response_model=None)
def report_of(dag_id: str, run_id: str) -> FileResponse | HTMLResponse:
    """The report of a run of Airflow, or how far the run has come."""
    run = home_of(dag_id).runs / run_name(dag_id, run_id)
    if (run / "report.html").is_file():
        return report(run.name)
    if record := load(run):
        done = ", ".join(stage.stage for stage in record.stages) or "no stage"
        text = f"The report is written when the run ends. Done so far: {done}."
        return HTMLResponse(message_page.render("No report yet", text, SECONDS))
    return HTMLResponse(message_page.render("No report", f"{run_id} of {dag_id} has made none.", SECONDS))


@app.get("/models", response_class=HTMLResponse)
def models() -> str:
    """The history of every registered model."""
    shown = models_page.Surroundings(
        models_page.reports_of(homes(), lambda run: f"runs/{quote(run.name)}/report.html"),
        lambda reason: in_airflow(reason, FOR_GOOD),
        compare="compare",
    )
    return models_page.render([_known(home) for home in homes()], shown)


def _known(home: Home) -> models_page.Workspace:
    registry = Registry(home.tracking_uri)
    return models_page.Workspace(registry, events(home, registry))


@app.get("/compare", response_class=HTMLResponse)
def compare(model: str, before: str, after: str) -> str:
    """Two versions of *model* side by side, by the workspace that knows it, or has the evaluation of the second."""
    known = [home for home in homes() if model in Registry(home.tracking_uri).names()] or homes()[:1]
    comparisons = [_compared(home, model, before, after) for home in known]
    return comparison_page.render(
        next((each for each in comparisons if each.after.measured.metrics), comparisons[0]), "models"
    )


def _compared(home: Home, model: str, before: str, after: str) -> ModelComparison:
    registry = Registry(home.tracking_uri)
    return of_versions(home, *(find(registry, model, version) for version in (before, after)))


@app.exception_handler(Failure)
def failed(request: Request, failure: Failure) -> HTMLResponse:
    """The sentence of a *failure*, where there would be a page."""
    status = 503 if isinstance(failure, Unavailable) else 404
    return HTMLResponse(message_page.render("Not available", str(failure)), status)
