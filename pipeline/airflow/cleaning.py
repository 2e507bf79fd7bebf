"""The tasks of the DAG `housekeeping`: they clean the workspace and Airflow's own metadata.

A task has no access to Airflow's database, so the metadata are cleaned in a process of its own that finds the address
where Airflow's other processes do:  python -m pipeline.airflow.cleaning DAYS
"""

import contextlib
import logging
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from components.errors import Unavailable
from components.progress import say
from components.registry.database import path_of
from pipeline.airflow import notifications, task_log
from pipeline.airflow.external_python import ROOT
from pipeline.airflow.params_form import read_settings, schedule
from pipeline.airflow.project import Project
from pipeline.airflow.standalone.environment import kept_environment
from pipeline.airflow.task import failures
from pipeline.home import Home
from pipeline.housekeeping import alarms

# As `airflow db clean`, but for what is still in use however old it is: the triggers that watch, the DAGs themselves
TABLES = [
    *("dag_run", "task_instance", "task_instance_history", "task_reschedule", "task_state_store", "xcom"),
    *("asset_event", "job", "log", "import_error", "callback", "deadline", "revoked_token"),
    *("celery_taskmeta", "celery_tasksetmeta"),
]
OUT_OF_REACH = 99  # exit status
# where Airflow shows its tasks another database
ADDRESSES = ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CORE__SQL_ALCHEMY_CONN")
log = logging.getLogger(__name__)


class Clean(BaseOperator):
    """Runs a command in a process of its own, its output in the task's log."""

    def __init__(self, *, project: Project | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.project = project or Project()

    def execute(self, context: Context) -> str:
        """The last line of the output, which says what came of it."""
        with task_log.of_pipeline(), failures(context), self.project.of_task(context["ti"].dag_id):
            said = self.clean()
            self.look(context)
            return said

    def clean(self) -> str:
        raise NotImplementedError

    def look(self, context: Context) -> None:
        """What else a task does that comes by once a week."""


class CleanWorkspace(Clean):
    """Runs `python -m pipeline gc`: artifacts, runs, caches, copies of images, logs, what was deleted in MLflow."""

    def clean(self) -> str:
        chosen = schedule(read_settings()[0])
        keep = ["--keep", str(chosen.keep_runs), "--days", str(chosen.keep_days)]
        return _run([chosen.python or sys.executable, "-m", "pipeline", "gc", *keep], dict(os.environ))

    def look(self, context: Context) -> None:
        """Raise an alarm where nothing has succeeded for long, or the disk is nearly full."""
        if days := schedule(read_settings()[0]).alarm_days:
            notifications.alarm(alarms(Home.from_environment(), days), context)


class CleanMetadata(Clean):
    """Deletes rows of Airflow's database: runs, tries, XComs, events, logs of what users did."""

    def clean(self) -> str:
        days = schedule(read_settings()[0]).keep_days
        return _run([sys.executable, "-m", __name__, str(days)], _of_airflow())


def _of_airflow() -> dict[str, str]:
    """The environment of Airflow's own processes, as far as a task can know it."""
    seen = {name: value for name, value in os.environ.items() if name not in ADDRESSES}
    with contextlib.suppress(OSError):  # not the Airflow of `make airflow`
        seen |= kept_environment(Home.from_environment().airflow)
    return seen


def _run(command: list[str], environment: dict[str, str]) -> str:
    path = os.pathsep.join(part for part in (str(ROOT), environment.get("PYTHONPATH", "")) if part)
    with subprocess.Popen(
        command, env=environment | {"PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        line = ""
        for line in map(str.rstrip, process.stdout):
            log.info("%s", line)
    if process.returncode == OUT_OF_REACH:
        raise AirflowSkipException(line)
    if process.returncode:
        raise Unavailable(f"{' '.join(command[1:4])} ended with exit status {process.returncode}; see the log above")
    return line


def main(days: float) -> int:
    """Delete what is older than so many *days*; the exit status."""
    from airflow.configuration import conf
    from airflow.utils.db_cleanup import config_dict, run_cleanup

    database = path_of(conf.get_mandatory_value("database", "sql_alchemy_conn"))
    if database and not database.is_file():
        say("Airflow's database is named by a variable that no task sees: clean it by airflow db clean")
        return OUT_OF_REACH
    before = datetime.now(UTC) - timedelta(days=days)
    tables = [table for table in TABLES if table in config_dict]
    run_cleanup(clean_before_timestamp=before, table_names=tables, confirm=False, skip_archive=True)  # type: ignore[arg-type]
    say(f"Airflow's metadata from before {before:%Y-%m-%d} are deleted")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
