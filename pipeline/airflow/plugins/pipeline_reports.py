"""Airflow plugin: what Airflow's own processes do for the pipeline.

The API server shows the report of a run beside it and the registered models in the navigation; the scheduler creates
the pool of the trainings, writes what came of a run into its note, and knows when a run is late. Where the pipeline is
an installed package, Airflow finds this by entry point.
"""

from airflow.plugins_manager import AirflowPlugin

from pipeline.airflow import pools, run_notes
from pipeline.airflow.lateness import RunDue
from pipeline.airflow.report_server import app


class PipelineReports(AirflowPlugin):
    name = "pipeline_reports"
    fastapi_apps = [{"app": app, "url_prefix": "/pipeline", "name": "pipeline reports"}]  # noqa: RUF012 - Airflow's own form
    external_views = [  # noqa: RUF012
        {"name": "Report", "href": "/pipeline/of/{DAG_ID}/{RUN_ID}", "destination": "dag_run", "url_route": "report"},
        {"name": "Models", "href": "/pipeline/models", "destination": "nav", "url_route": "models"},
    ]
    listeners = [pools, run_notes]  # noqa: RUF012
    deadline_references = [RunDue]  # noqa: RUF012
