"""Airflow's logging, but that logs of tasks are read from files alone, of this machine or of a volume that all share.

`make airflow` starts the scheduler, below which tasks run, without that server, as it would listen on every address.
Else the log of a running task begins with "Could not read served logs".
"""

from copy import deepcopy

from airflow.config_templates.airflow_local_settings import (
    DEFAULT_LOGGING_CONFIG,
    DEFAULT_REMOTE_CONN_ID,
    REMOTE_TASK_LOG,
)

__all__ = ["DEFAULT_REMOTE_CONN_ID", "LOGGING_CONFIG", "REMOTE_TASK_LOG"]  # Airflow reads all three

LOGGING_CONFIG = deepcopy(DEFAULT_LOGGING_CONFIG)
LOGGING_CONFIG["handlers"]["task"]["class"] = "pipeline.airflow.standalone.local_task_handler.LocalTaskHandler"
