"""A real Airflow for the tests: `python -m pipeline.airflow` in a folder of its own, driven over its REST API."""

import json
import math
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, TypeVar

import psutil

from pipeline.airflow.run_names import run_name
from pipeline.airflow.standalone.rest_client import Api
from pipeline.graph import STAGES
from pipeline.run_record import RunRecord, load
from tests.conftest import CLEAN, ROOT
from tests.support import ended_with_us

SECONDS = 600  # a busy machine is no failure
PAUSE, PAUSE_OF_RUNS = 0.3, 1.0  # seconds between two requests
SILENCE = 60  # seconds without a heartbeat after which Airflow declares a task dead
ENDED = {"success", "failed", "upstream_failed", "skipped", "removed"}

# Airflow's intervals suit a machine that runs for years, not a test that runs for minutes.
SPEED = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(SILENCE),
}

# The settings of the tests' runs, in the settings file and in the form: quick, and long enough to be killed.
SETTINGS = {
    "train.model": "dense",
    "train.epochs": 8,
    "evaluate.corruption_images": 0,
    "gate.min_accuracy": 0.1,
    "gate.max_export_loss": 1,
    "gate.max_regression": 1,
}

# in their order
TASKS = [
    *list(STAGES)[:-1], "approve", "promote", "look", "workspace", "metadata", "rollback", "promote_version",
]  # fmt: skip

Json = dict[str, Any]  # an object of Airflow's REST API
Tasks = dict[str, Json]
Value = TypeVar("Value")


def digits(**chosen: object) -> dict[str, object]:
    """The form of a quick run on the digits; *chosen* in the form train__epochs=3."""
    return {"ingest.source": "digits", **SETTINGS, **{name.replace("__", "."): v for name, v in chosen.items()}}


@dataclass
class Served:
    """One running Airflow, the folder of images that it watches, and what it posted to its webhook."""

    home: Path
    images: Path
    settings: Path
    process: "subprocess.Popen[Any]"
    api: Api
    password: str
    posted: list[Json] = field(default_factory=list)
    launch: "Launch | None" = None
    first_running: str = ""  # the log of the training of the first run, while it ran
    first_heartbeats: list[datetime] = field(default_factory=list)  # of the training of the first run

    def trigger(self, form: dict[str, object], dag: str = "retrain") -> str:
        """Start a run; again while another process holds the lock of SQLite, where Airflow answers with an internal
        error."""
        body = {"logical_date": None, "conf": form}
        return self.until(lambda: unless_locked(lambda: str(self.api.post(f"dags/{dag}/dagRuns", body)["dag_run_id"])))

    def runs(self, dag: str) -> list[Json]:
        runs: list[Json] = self.api.get(f"dags/{dag}/dagRuns?order_by=run_after")["dag_runs"]
        return runs

    def tasks(self, run: str, dag: str = "retrain") -> Tasks:
        tasks = self.api.get(f"dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {task["task_id"]: task for task in sorted(tasks, key=lambda task: TASKS.index(task["task_id"]))}

    def asked(self, run: str) -> Json:
        """What a person is asked by the task `approve`, once it waits.

        An answer within the second in which the scheduler has not noticed that it does would start the task again.
        """
        self.until(lambda: self._parked(run))
        detail: Json = self.api.get(f"dags/retrain/dagRuns/{run}/taskInstances/approve/-1/hitlDetails")
        return detail

    def _parked(self, run: str) -> bool:
        """Whether the scheduler has noticed that the process of the task `approve` has ended, and that it waits."""
        lines = (self.home / "airflow/logs/parts/scheduler.log").read_text().splitlines()
        return any(f"task_id=approve, run_id={run}" in line and "state=awaiting_input" in line for line in lines)

    def decide(self, run: str, option: str, reason: str) -> None:
        """Answer the task `approve`, as in the UI."""
        body = {"chosen_options": [option], "params_input": {"reason": reason}}
        path = f"dags/retrain/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"
        self.until(lambda: unless_locked(lambda: self.api.patch(path, body)))

    def finished(self, run: str, dag: str = "retrain") -> tuple[str, Tasks]:
        """The state of the run and its tasks, once it has ended."""
        state = self.until(lambda: ended(self.api.get(f"dags/{dag}/dagRuns/{run}")["state"]), pause=PAUSE_OF_RUNS)
        return state, self.tasks(run, dag)

    def succeeded(self, run: str, dag: str = "retrain") -> Tasks:
        state, tasks = self.finished(run, dag)
        bad = [name for name, task in tasks.items() if task["state"] == "failed"]
        assert state == "success", "\n".join(self.log(run, name, dag=dag) for name in bad)
        return tasks

    def until(self, look: Callable[[], Value | None], seconds: float = SECONDS, pause: float = PAUSE) -> Value:
        """The value of *look* as soon as it is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := look():
                return value
            assert self.process.poll() is None, "Airflow has ended"
            time.sleep(pause)
        active = [run for run in self.runs("retrain") if not ended(run["state"])]
        states = [(run["dag_run_id"], run["state"], self._states(run)) for run in active]
        raise AssertionError(f"waited {seconds} s in vain; active: {states}")

    def _states(self, run: Json) -> list[tuple[str, str, int]]:
        tasks = self.tasks(run["dag_run_id"], run["dag_id"])
        return [(name, task["state"], task["try_number"]) for name, task in tasks.items()]

    def failed(self, run: str, task: str, number: int) -> bool:
        """Whether the try *number* of the task is over and another one follows."""
        current = self.tasks(run)[task]
        return bool((current["try_number"], current["state"] == "up_for_retry") >= (number, True))

    def result(self, run: str, task: str, dag: str = "retrain") -> Json:
        """The value that the task pushed."""
        path = f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
        pushed: Json = self.api.get(path)["value"]
        return pushed

    def pushed(self, run: str, task: str, dag: str = "retrain") -> set[str]:
        entries = self.api.get(f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries")["xcom_entries"]
        return {entry["key"] for entry in entries}

    def made(self, run: str, dag: str = "retrain") -> list[str]:
        return [stage for stage in STAGES if self.result(run, stage, dag)["made"]]

    def links(self, run: str, task: str) -> dict[str, str]:
        links: dict[str, str] = self.api.get(f"dags/retrain/dagRuns/{run}/taskInstances/{task}/links")["extra_links"]
        return links

    def log(self, run: str, task: str, number: int = 1, dag: str = "retrain") -> str:
        log = self.api.get(f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{number}?full_content=true")
        return "\n".join(f"{line.get('event')} {line.get('error_detail', '')}" for line in log["content"])

    def log_file(self, run: str, task: str, number: int) -> Path:
        """What the API shows in full only once the try has ended."""
        return self.home / "airflow/logs/dag_id=retrain" / f"run_id={run}" / f"task_id={task}" / f"attempt={number}.log"

    def levels(self, run: str, task: str, number: int = 1) -> dict[str, str]:
        """The level of each line of the task's log, by the line."""
        log = self.api.get(f"dags/retrain/dagRuns/{run}/taskInstances/{task}/logs/{number}?full_content=true")
        return {str(line["event"]): str(line.get("level")) for line in log["content"]}

    def shown(self, run: str, dag: str = "retrain") -> Json:
        """What the page of the run shows: its conf, its note, its state."""
        shown: Json = self.api.get(f"dags/{dag}/dagRuns/{run}")
        return shown

    def shown_by_ui(self, path: str) -> Json:
        """What Airflow's own UI asks for, beside the public interface."""
        shown: Json = json.loads(self.api.read(f"{self.api.url}/ui/{path}"))
        return shown

    def read_again(self, dag: str) -> None:
        """Have the DAG file read at once, and its settings; again while the scheduler holds the lock of SQLite."""
        since = self.api.get(f"dags/{dag}")["last_parsed_time"]
        self.until(lambda: unless_locked(lambda: self._read_file_of(dag)))
        self.until(lambda: self.api.get(f"dags/{dag}")["last_parsed_time"] > since)

    def _read_file_of(self, dag: str) -> bool:
        self.api.put(f"parseDagFile/{self.api.get(f'dags/{dag}')['file_token']}")
        return True

    def idle(self) -> bool:
        """Whether the run that the first images started has ended, and no other run is active."""
        runs = self.runs("retrain")
        return any(map(of_asset, runs)) and all(ended(run["state"]) for run in runs)

    def record(self, run: str, dag: str = "retrain") -> RunRecord:
        record = load(self.home / "runs" / run_name(dag, run))
        assert record
        return record

    def mark_failed(self, run: str, task: str = "") -> None:
        """Set the state of the run, or of its task, as in the UI; again while the scheduler holds the lock of SQLite,
        where Airflow answers with an internal error."""
        part, body = (f"/taskInstances/{task}", {"new_state": "failed"}) if task else ("", {"state": "failed"})
        self.until(lambda: unless_locked(lambda: self.api.patch(f"dags/retrain/dagRuns/{run}{part}", body)))

    def clear(self, run: str, **which: object) -> None:
        """Clear tasks of the run; again while the scheduler holds the lock of SQLite."""
        body = {"dag_run_id": run, "dry_run": False, **which}
        self.until(lambda: unless_locked(lambda: self.api.post("dags/retrain/clearTaskInstances", body)))

    @contextmanager
    def setting(self, line: str) -> Iterator[None]:
        """Add a line to the last section of the settings file, [schedule], for the tasks that start meanwhile."""
        before = self.settings.read_text()
        self._replace_settings(f"{before}{line}\n")
        try:
            yield
        finally:
            self._replace_settings(before)

    @contextmanager
    def edited(self, old: str, new: str) -> Iterator[None]:
        """Replace *old* in the settings file, for the tasks that start meanwhile."""
        before = self.settings.read_text()
        assert old in before
        self._replace_settings(before.replace(old, new))
        try:
            yield
        finally:
            self._replace_settings(before)

    def _replace_settings(self, text: str) -> None:
        """Change the settings file atomically: Airflow may read it at any moment."""
        draft = self.settings.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(self.settings)

    def read_dag(self, run: str, task: str, number: int) -> bool:
        """Whether the try *number* of the task has read its DAG file, and the settings with it."""
        log = self.log_file(run, task, number)
        return log.exists() and "Worker startup parse complete" in log.read_text()

    def training(self, run: str, number: int) -> psutil.Process:
        """The process of the training's try *number*, as soon as this try has saved an epoch and computes the next."""
        process = self.until(lambda: self.process_of(run, "train", number))
        log = self.log_file(run, "train", number)
        self.until(lambda: log.read_text().count("val_loss") >= 2, pause=0.02)  # of two epochs: the first is saved
        return process

    def kill(self, run: str, number: int) -> None:
        """Kill a training with SIGKILL after its first epoch; the processes that it started die with it."""
        process = self.training(run, number)
        started = process.children(recursive=True)
        process.send_signal(signal.SIGKILL)
        assert gone(started, 60)

    def heartbeats(self, run: str, task: str, most: float = math.inf) -> list[datetime]:
        """The heartbeats that Airflow received of the running task, until it ends or they are as many as *most*."""
        heartbeats: set[str] = set()
        query = "SELECT last_heartbeat_at FROM task_instance WHERE run_id = ? AND task_id = ? AND state = 'running'"
        with closing(sqlite3.connect(f"file:{self.home}/airflow/airflow.db?mode=ro", timeout=20, uri=True)) as database:
            while len(heartbeats) < most and (row := database.execute(query, (run, task)).fetchone()):
                heartbeats |= {str(row[0])} - {"None"}
                time.sleep(0.2)
        return sorted(datetime.fromisoformat(text) for text in heartbeats)

    def process_of(self, run: str, task: str, number: int) -> psutil.Process | None:
        """The process in which Airflow runs the try *number* of a task; None while there is none."""
        current = self.tasks(run)[task]
        if current["state"] != "running" or current["try_number"] != number:
            return None
        for process in self.processes():
            with suppress(psutil.Error):  # of one that ends meanwhile
                if f"airflow worker -- {current['id']}" in " ".join(process.cmdline()):
                    return process
        return None

    def processes(self) -> list[psutil.Process]:
        """Airflow's processes, those of tasks included."""
        return family(self.process.pid)

    def supervisor(self) -> psutil.Process:
        """The process of `make airflow` that starts the parts."""
        [guard] = psutil.Process(self.process.pid).children()
        return guard.children()[0]  # the first; those that it adopts are younger

    def part(self, name: str) -> psutil.Process | None:
        """The process of the part *name*, which writes to the log of that name; None while there is none."""
        for process in self.supervisor().children():
            with suppress(psutil.Error, OSError):  # of one that ends meanwhile
                log = Path(f"/proc/{process.pid}/fd/1").readlink().name
                if log == f"{name}.log" and os.getsid(process.pid) == process.pid:  # no orphan of the part before
                    return process
        return None

    def shut_down(self) -> None:
        """End Airflow as a service manager does; nothing that it started is left."""
        processes = self.processes()
        self.process.terminate()
        self.process.wait(120)
        assert gone(processes, 60)

    def start_again(self, **environment: str) -> None:
        """Start Airflow again, as it was started the first time, and wait until it is ready."""
        assert self.launch
        self.process = self.launch.process(**environment)
        _login(self.process, self.launch.log)

    def mlflow_away(self) -> "AbstractContextManager[None]":
        """A registry that cannot be opened."""
        return _away(self.home / "mlflow.db")


def unless_locked(request: Callable[[], Value]) -> Value | None:
    """The answer of Airflow to *request*; None for an internal error, as when another process holds SQLite's lock."""
    try:
        return request()
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return None


@dataclass(frozen=True)
class Launch:
    """How an Airflow is started, and where that prints."""

    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path

    def process(self, **environment: str) -> "subprocess.Popen[Any]":
        with self.log.open("w") as stderr:
            every = {**self.environment, **environment}
            return ended_with_us.start(self.command, cwd=ROOT, env=every, stderr=stderr)


@contextmanager
def _away(database: Path) -> Iterator[None]:
    aside = database.rename(database.with_suffix(".aside"))
    database.mkdir()
    try:
        yield
    finally:
        database.rmdir()
        aside.rename(database)


def gone(processes: list[psutil.Process], seconds: float) -> bool:
    """Whether all of them end within *seconds*; a zombie has ended."""
    end = time.monotonic() + seconds
    while (alive := any(map(lives, processes))) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive


def lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def of_asset(run: Json) -> bool:
    """Whether *run* was started by an event of an asset."""
    return bool(run["run_type"] == "asset_triggered")


def add_images(folder: Path, each: int, first: int = 0) -> None:
    """Put *each* images of the digits 0 to 4, from the number *first* on, into FOLDER/CLASS, all at once."""
    from PIL import Image
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    draft = folder.with_name("arriving")
    if folder.exists():
        folder.rename(draft)
    for label in range(5):
        (draft / str(label)).mkdir(parents=True, exist_ok=True)
        for number, pixels in enumerate(images[labels == label][first : first + each], first):
            image = Image.fromarray((pixels * 255 / 16).astype("uint8").reshape(8, 8))
            image.save(draft / str(label) / f"{number}.png")
    draft.rename(folder)


def ended(state: str) -> str:
    return state if state in ENDED else ""


def family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def airflow(folder: Path) -> Iterator[Served]:
    """Airflow on the settings of `FOLDER/settings.toml`; ended by Ctrl-C when the block is left."""
    home, port = folder / "home", free_port()
    settings = folder / "settings.toml"
    settings.write_text(_settings(folder / "numbers"))
    posted: list[Json] = []
    with _webhook(posted) as url, ExitStack() as stack:
        environment = {"PIPELINE_HOME": str(home), "PIPELINE_CONFIG": str(settings), "NOTIFY_WEBHOOK_URL": url}
        ports = ["--port", str(port), "--mlflow-port", str(free_port())]
        command = [sys.executable, "-m", "pipeline.airflow", *ports]
        launch = Launch(command, {**CLEAN, **SPEED, **environment}, folder / "airflow.log")
        process = launch.process()
        stack.callback(_end, process)
        password = _login(process, launch.log)
        api = Api(f"http://127.0.0.1:{port}", "admin", password, SECONDS)
        served = Served(home, folder / "numbers", settings, process, api, password, posted, launch)
        stack.callback(lambda: _end(served.process))  # which may be another one then
        yield served


def _end(process: "subprocess.Popen[Any]") -> None:
    process.terminate()
    process.wait(120)


def _login(process: "subprocess.Popen[Any]", log: Path) -> str:
    """The password, once Airflow says that it is ready."""
    while process.poll() is None:
        if password := re.search(r"password (\S+)", log.read_text()):
            return password[1]
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def _settings(images: Path) -> str:
    sections: dict[str, list[str]] = {"ingest": [f'source = "{images}"']}
    for name, value in SETTINGS.items():
        section, _, setting = name.partition(".")
        sections.setdefault(section, []).append(f"{setting} = {json.dumps(value)}")
    sections["schedule"] = ['cron = ""', "watch_seconds = 1", "retry_seconds = 1"]
    return "".join(f"[{name}]\n" + "".join(f"{line}\n" for line in lines) for name, lines in sections.items())


@contextmanager
def _webhook(posted: list[Json]) -> Iterator[str]:
    """The address of a server that appends what it is sent to *posted*."""

    class Keep(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Keep)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
