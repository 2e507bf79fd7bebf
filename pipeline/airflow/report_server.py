"""The reports of the runs, served by Airflow's API server to users who are signed in: /pipeline/runs/RUN/report.html"""

import re
from typing import Annotated

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse

from pipeline.airflow.project import homes

app = FastAPI(title="Reports of the pipeline's runs", docs_url=None, redoc_url=None, openapi_url=None)


@app.get("/runs/{run}/report.html", response_class=FileResponse)
def report(run: str, user: Annotated[object, Depends(get_user)]) -> FileResponse:
    """The report of *run*; no other file can be reached."""
    if re.fullmatch(r"\w[\w.-]*", run):
        for home in homes():
            if (file := home.runs / run / "report.html").is_file():
                return FileResponse(file, media_type="text/html")
    raise HTTPException(404, f"no run called {run} has a report")
