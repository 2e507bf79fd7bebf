"""Ending Airflow: the last test of the folder, since it ends the one that all of them share."""

import signal
from pathlib import Path

import psutil
import pytest

from tests.dags.served import Served, family, of_asset, pictures

pytestmark = pytest.mark.airflow


def test_ctrl_c_leaves_no_process_behind(served: Served) -> None:
    """More images start a run by themselves; Ctrl-C while it trains ends every process within half a minute."""
    seen = {run["dag_run_id"] for run in served.runs("retrain_on_new_data")}
    pictures(served.images, 60, first=30)
    [run] = served.until(
        lambda: [r for r in served.runs("retrain_on_new_data") if of_asset(r) and r["dag_run_id"] not in seen]
    )
    served.until(lambda: served.tasks(run["dag_run_id"], "retrain_on_new_data")["train"]["state"] == "running")
    processes = family(served.process.pid)
    assert len(processes) > 5
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(30) == 130
    assert [process for process in processes if process.is_running()] == []
    assert [process.cmdline() for process in psutil.process_iter() if uses(process, served.home)] == []


def uses(process: psutil.Process, home: Path) -> bool:
    try:
        return bool(process.environ().get("PIPELINE_HOME") == str(home))
    except psutil.Error:
        return False
