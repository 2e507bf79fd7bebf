"""make bench-serving: the server beside others, interleaved in one run; needs a home whose champion takes 28 x 28 grey.

    processor time a request   of the server's process, by rounds, each server for some seconds in turn
    memory and start           of each
    attack                     latency of honest requests beside the corpus of hostile ones, and without, interleaved
    switches                   100 changes of the champion under 64 connections: no answer other than 200, none mixed

PIPELINE_HOME names the home: make pipeline SOURCE=digits makes one.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from components.progress import progress
from components.registry.client import CHAMPION, Registry
from components.registry.database import address_of
from components.registry.model_files import MODEL_FILE, folder_of
from components.registry.model_version import ModelVersion
from tests.conftest import CLEAN, ROOT
from tests.support.airflow_server import free_port
from tests.support.served_versions import Versions

SWITCHES, SWITCH_CONNECTIONS = 100, 64
OURS, BARE, FLASK, MLFLOW = "serving", "bare ASGI", "Flask and model.predict", "mlflow models serve"
SLOW = (FLASK, MLFLOW)
START_SECONDS = 180


@dataclass
class Subject:
    """One server, as it is started and asked."""

    name: str
    command: list[str]
    path: str
    body: Path
    port: int
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None
    ready_seconds: float = 0.0
    milliseconds: dict[int, list[float]] = field(default_factory=dict)  # of the processor, by connections
    latencies: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def start(self) -> None:
        begin = time.perf_counter()
        environment = {**CLEAN, **self.environment}
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while not self._answers():
            if self.process.poll() is not None or time.perf_counter() - begin > START_SECONDS:
                raise SystemExit(f"{self.name} did not start: {' '.join(self.command)}")
            time.sleep(0.01)
        self.ready_seconds = time.perf_counter() - begin

    def _answers(self) -> bool:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{self.path}", self.body.read_bytes())
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                return bool(response.status == 200)
        except OSError:
            return False

    def processes(self) -> list[psutil.Process]:
        assert self.process
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def processor_seconds(self) -> float:
        return sum(float(sum(process.cpu_times()[:2])) for process in self.processes())

    def memory(self) -> float:
        return sum(int(process.memory_info().rss) for process in self.processes()) / 1e6

    def measure(self, connections: int, seconds: float) -> None:
        before = self.processor_seconds()
        found = load(self.port, self.path, self.body, connections, seconds)
        if set(found["statuses"]) != {"200"}:
            raise SystemExit(f"{self.name}: {found['statuses']}")
        used = self.processor_seconds() - before
        self.milliseconds.setdefault(connections, []).append(1000 * used / found["requests"])
        self.latencies.setdefault(connections, []).append(found)


def load_command(port: int, path: str, body: Path, connections: int, seconds: float) -> list[str]:
    arguments = [str(port), path, str(body), str(connections), str(seconds)]
    return [sys.executable, "-m", "benchmarks.serving.load", *arguments]


def load(port: int, path: str, body: Path, connections: int, seconds: float) -> dict[str, Any]:
    """What so many *connections* were answered in so many *seconds*."""
    command = load_command(port, path, body, connections, seconds)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@contextlib.contextmanager
def started(subjects: list[Subject]) -> Iterator[None]:
    try:
        for subject in subjects:
            subject.start()
        yield
    finally:
        for subject in subjects:
            if subject.process:
                for process in subject.processes() if subject.process.poll() is None else []:
                    process.terminate()
                subject.process.wait()


def champion(home: Path) -> ModelVersion:
    registry = Registry(address_of(home / "mlflow.db"))
    for name in registry.names():
        if version := registry.alias(name, CHAMPION):
            return version
    raise SystemExit(f"{home} has no champion; make one with make pipeline SOURCE=digits")


def subjects(home: Path, folder: Path, names: list[str]) -> list[Subject]:
    version = champion(home)
    image = [[(row * column) % 256 for column in range(28)] for row in range(28)]
    tutorial, rows = folder / "predict.json", folder / "instances.json"
    tutorial.write_text(json.dumps({"image": image}))
    rows.write_text(json.dumps({"inputs": [[[[pixel] for pixel in row] for row in image]]}))
    tflite = str(home / "exports" / version.name / version.version / "model.tflite")
    source = folder_of(version.source)
    keras = str((source or Path()) / MODEL_FILE)
    ports = {name: free_port() for name in (OURS, BARE, FLASK, MLFLOW)}
    python = sys.executable
    mlflow = [
        str(Path(python).parent / "mlflow"),
        "models",
        "serve",
        "--env-manager",
        "local",
        "--port",
        str(ports[MLFLOW]),
    ]
    every = [
        Subject(OURS, [python, "-m", "serving", "--port", str(ports[OURS])], "/predict", tutorial, ports[OURS],
                {"PIPELINE_HOME": str(home), "PIPELINE_SERVE_MODEL": version.name}),
        Subject(BARE, [python, "-m", "benchmarks.serving.bare", str(ports[BARE])], "/predict", tutorial, ports[BARE],
                {"MODEL": tflite}),
        Subject(FLASK, [python, "-m", "benchmarks.serving.flask_keras", str(ports[FLASK])], "/predict", tutorial,
                ports[FLASK], {"MODEL": keras, "TF_CPP_MIN_LOG_LEVEL": "3"}),
        Subject(MLFLOW, [*mlflow, "--model-uri", str(source)], "/invocations", rows, ports[MLFLOW],
                {"PATH": f"{Path(python).parent}:{os.environ['PATH']}", "TF_CPP_MIN_LOG_LEVEL": "3"}),
    ]  # fmt: skip
    return [subject for subject in every if subject.name in names]


def attack(subject: Subject, rounds: int, seconds: float) -> None:
    """Print the latency of honest requests of one connection, alone and under attack."""
    latencies: dict[str, list[tuple[float, float]]] = {"alone": [], "under attack": []}
    sent = 0
    with started([subject]), progress("attack", 2 * rounds) as advance:
        for number in range(2 * rounds):
            which = ("alone", "under attack")[number % 2]
            command = [sys.executable, "-m", "benchmarks.serving.attack", str(subject.port), str(seconds + 1)]
            hostile = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) if number % 2 else None
            time.sleep(1)  # both begin with the imports of the attack behind them
            found = load(subject.port, subject.path, subject.body, 1, seconds)
            latencies[which].append((found["p50_ms"], found["p99_ms"]))
            sent += int(hostile.communicate()[0]) if hostile else 0
            advance(number + 1)
    medians = {
        which: [statistics.median(column) for column in zip(*rows, strict=True)] for which, rows in latencies.items()
    }
    for which, (p50, p99) in medians.items():
        worst = max(p99 for _, p99 in latencies[which])
        print(f"honest requests {which}: p50 {p50:.2f} ms, p99 {p99:.2f} ms (at most {worst:.2f} ms)")
    ratio = medians["under attack"][1] / medians["alone"][1]
    print(f"{sent:,} hostile requests; p99 under attack {ratio:.1f} times that alone")


def switches(count: int) -> dict[str, Any]:
    """Change the champion under load: what was answered meanwhile, and the seconds from the alias to the answer."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        assert Registry(address_of(home / "mlflow.db")).client  # makes the database
        versions = Versions(home)
        for _ in range(2):
            versions.add()
        versions.point("1")
        body = home / "body.json"
        body.write_text(json.dumps({"image": [[7] * 28] * 28}))
        port = free_port()
        command = [sys.executable, "-m", "serving", "--port", str(port)]
        subject = Subject(OURS, command, "/predict", body, port, {"PIPELINE_HOME": name})
        with started([subject]):
            seconds = count * 1.1 + 5
            command = load_command(port, "/predict", body, SWITCH_CONNECTIONS, seconds)
            loading = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            delays = list[float]()
            with progress("switches", count) as advance:
                for number in range(1, count + 1):
                    delays.append(_switch(versions, port, str(1 + number % 2), body))
                    advance(number)
            output, _ = loading.communicate()
    answer: dict[str, Any] = json.loads(output)
    return answer | {"switches": count, "delays": delays}


def _switch(versions: Versions, port: int, number: str, body: Path) -> float:
    versions.point(number)
    start = time.perf_counter()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/predict", body.read_bytes())
    while True:
        with urllib.request.urlopen(request) as response:  # noqa: S310
            if response.headers["x-model-version"] == number:
                return time.perf_counter() - start
        time.sleep(0.005)


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--switches", type=int, default=SWITCHES)
    parser.add_argument("--no-attack", action="store_true")
    parser.add_argument("--only", default=",".join((OURS, BARE, FLASK, MLFLOW)))
    options = parser.parse_args()
    home = Path(os.environ.get("PIPELINE_HOME") or "workspace").absolute()
    if not home.is_dir():
        raise SystemExit(
            f"there is no workspace {home}; make one with make pipeline SOURCE=digits, or set PIPELINE_HOME"
        )
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(home, copy := Path(folder) / "home", symlinks=True)
        measured = subjects(copy, Path(folder), options.only.split(","))
        with started(measured):
            rounds = [(c, subject) for _ in range(options.rounds) for c in (1, 8) for subject in measured]
            with progress("rounds", len(rounds)) as advance:
                for number, (connections, subject) in enumerate(rounds, 1):
                    subject.measure(connections, options.seconds)
                    advance(number)
            report(measured)
        if not options.no_attack:
            attack(measured[0], options.rounds, options.seconds)
    if options.switches:
        report_switches(switches(options.switches))


def report(measured: list[Subject]) -> None:
    ours = measured[0]
    for subject in measured:
        for connections, values in subject.milliseconds.items():
            median = statistics.median(values)
            p50, p99 = (
                statistics.median(found[k] for found in subject.latencies[connections]) for k in ("p50_ms", "p99_ms")
            )
            ratio = median / statistics.median(ours.milliseconds[connections])
            print(
                f"{subject.name}, {connections} connections: {median:.3f} ms of the processor a request "
                f"({min(values):.3f} to {max(values):.3f}), {ratio:.2f} times ours; p50 {p50:.2f} ms, p99 {p99:.2f} ms"
            )
        print(f"{subject.name}: ready in {subject.ready_seconds:.2f} s, {subject.memory():.0f} MB")


def report_switches(found: dict[str, Any]) -> None:
    delays = sorted(found["delays"])
    print(
        f"{found['switches']} switches under {SWITCH_CONNECTIONS} connections: {found['requests']} answers, "
        f"by status {found['statuses']}, by version {found['versions']}, {found['mixed']} mixed; from the alias to the "
        f"first answer {statistics.median(delays):.2f} s, at most {delays[-1]:.2f} s"
    )


if __name__ == "__main__":
    main()
