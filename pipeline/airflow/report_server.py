"""The reports of the runs, served by Airflow's API server to users who are signed in: /pipeline/runs/RUN/report.html"""

import re
from typing import Annotated

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse

from pipeline.home import Home

app = FastAPI(title="Reports of the pipeline's runs", docs_url=None, redoc_url=None, openapi_url=None)


@app.get("/runs/{run}/report.html", response_class=FileResponse)
def report(run: str, user: Annotated[object, Depends(get_user)]) -> FileResponse:
    """The report of *run*; no other file can be reached."""
    file = Home.from_environment().runs / run / "report.html"
    if not re.fullmatch(r"\w[\w.-]*", run) or not file.is_file():
        raise HTTPException(404, f"no run called {run} has a report")
    return FileResponse(file, media_type="text/html")
