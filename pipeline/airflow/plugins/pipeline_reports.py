"""Airflow plugin: what Airflow's own processes do for the pipeline.

The API server serves the reports that the tasks' links lead to, and slows down password guessing; the scheduler creates
the pool of the trainings, and writes what came of a run into its note.
"""

from airflow.plugins_manager import AirflowPlugin

from pipeline.airflow import pools, run_notes
from pipeline.airflow.login_throttle import LoginThrottle
from pipeline.airflow.report_server import app


class PipelineReports(AirflowPlugin):
    name = "pipeline_reports"
    fastapi_apps = [{"app": app, "url_prefix": "/pipeline", "name": "pipeline reports"}]  # noqa: RUF012 - Airflow's own form
    listeners = [pools, run_notes]  # noqa: RUF012
    fastapi_root_middlewares = [{"middleware": LoginThrottle, "name": "login throttle"}]  # noqa: RUF012
