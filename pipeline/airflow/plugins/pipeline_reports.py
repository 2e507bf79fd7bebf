"""Airflow plugin: the links "Report" of the tasks lead to pages that the API server itself serves."""

from airflow.plugins_manager import AirflowPlugin

from pipeline.airflow.report_server import app


class PipelineReports(AirflowPlugin):
    name = "pipeline_reports"
    fastapi_apps = [{"app": app, "url_prefix": "/pipeline", "name": "pipeline reports"}]  # noqa: RUF012 - Airflow's own form
