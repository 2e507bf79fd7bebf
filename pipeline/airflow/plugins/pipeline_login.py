"""Airflow plugin: the API server slows down the guessing of passwords.

Of `make airflow` and `make up` alone: another Airflow has its own login, which an installed package leaves as it is.
"""

from airflow.plugins_manager import AirflowPlugin

from pipeline.airflow.login_throttle import LoginThrottle


class PipelineLogin(AirflowPlugin):
    name = "pipeline_login"
    fastapi_root_middlewares = [{"middleware": LoginThrottle, "name": "login throttle"}]  # noqa: RUF012 - Airflow's own form
