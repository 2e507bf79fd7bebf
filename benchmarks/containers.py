"""Measure the containers of `make up`: python -m benchmarks.containers

Runs `retrain` on the digits twice, so that the second run has nothing to do, and prints the overhead of a task and
the memory of each container.
"""

import os
import subprocess
import time
from datetime import datetime
from statistics import mean
from typing import TypedDict

from pipeline.airflow.standalone.rest_client import Api
from pipeline.compose import credentials
from pipeline.compose.docker_cli import Engine
from pipeline.compose.environment import secrets_folder
from tests.conftest import CLEAN
from tests.support.airflow_server import digits, ended

UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class Task(TypedDict):
    """A task that ended, as Airflow's REST API describes it; `stage_seconds` is added here."""

    task_id: str
    scheduled_when: str
    start_date: str
    end_date: str
    duration: float
    stage_seconds: float  # that the stage itself took


def main() -> None:
    engine = Engine(CLEAN)
    api = Api(
        f"http://127.0.0.1:{os.environ.get('PORT', '8080')}",
        credentials.USER,
        credentials.password(secrets_folder(os.environ)),
    )
    idle = memory(engine)
    first = run(api)
    busy = memory(engine)
    tasks = run(api)
    print(f"run with everything to do: {wall(first):.0f} s, the stages {stage_seconds(first):.0f} s of it")
    print(f"run with nothing to do: {wall(tasks):.0f} s, the stages {stage_seconds(tasks):.1f} s of it")
    print(f"overhead of a task: {(wall(tasks) - stage_seconds(tasks)) / len(tasks):.1f} s")
    in_process = mean(task["duration"] - task["stage_seconds"] for task in tasks)
    print(f"  in its process {in_process:.1f} s, before it {mean(waits(tasks)):.1f} s")
    for name in busy:
        print(f"{name:40} {idle.get(name, 0) / 1e6:6.0f} MB idle {busy[name] / 1e6:6.0f} MB after a run")
    print(f"{'all':40} {sum(idle.values()) / 1e6:6.0f} MB idle {sum(busy.values()) / 1e6:6.0f} MB after a run")


def run(api: Api) -> list[Task]:
    """The tasks of a run once it has ended, in order, with their `stage_seconds`."""
    name = api.post("dags/retrain/dagRuns", {"logical_date": None, "conf": digits()})["dag_run_id"]
    path = f"dags/retrain/dagRuns/{name}"
    while not ended(api.get(path)["state"]):
        time.sleep(1)
    tasks: list[Task] = api.get(f"{path}/taskInstances")["task_instances"]
    for task in tasks:
        pushed = api.get(f"{path}/taskInstances/{task['task_id']}/xcomEntries/return_value")["value"]
        task["stage_seconds"] = pushed["seconds"]
    return sorted(tasks, key=lambda task: task["start_date"])


def seconds(later: str, earlier: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def wall(tasks: list[Task]) -> float:
    """From the scheduling of the first task to the end of the last one."""
    return seconds(tasks[-1]["end_date"], tasks[0]["scheduled_when"])


def stage_seconds(tasks: list[Task]) -> float:
    return sum(task["stage_seconds"] for task in tasks)


def waits(tasks: list[Task]) -> list[float]:
    """How long each task waited after the end of the previous one."""
    ends = [tasks[0]["scheduled_when"], *(task["end_date"] for task in tasks[:-1])]
    return [seconds(task["start_date"], end) for task, end in zip(tasks, ends, strict=True)]


def memory(engine: Engine) -> dict[str, float]:
    """Bytes of each running container, as the engine counts them: without the page cache of its files."""
    names = [container["Name"] for container in engine.containers() if container["State"] == "running"]
    command = ["docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *names]
    done = subprocess.run(command, env=engine.environment, capture_output=True, text=True, check=True)
    return {line.split()[0]: size(line.split()[1]) for line in done.stdout.splitlines()}


def size(text: str) -> float:
    number = text.rstrip("BKMGki")
    return float(number) * UNITS[text.removeprefix(number)]


if __name__ == "__main__":
    main()
