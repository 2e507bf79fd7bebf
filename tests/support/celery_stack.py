"""A real Airflow on Celery for the tests: two workers, a queue each, over PostgreSQL, Redis and an MLflow server.

As on several machines, the parts share PIPELINE_HOME and addresses, and nothing else.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil
import psycopg2
from redis import Redis

from pipeline.airflow.standalone.environment import USER, Local
from pipeline.airflow.standalone.processes import Parts, module
from pipeline.airflow.standalone.rest_client import DIRECT, Api
from tests.conftest import CLEAN
from tests.support import ended_with_us
from tests.support.airflow_server import PAUSE, SECONDS, SPEED, Served, Value, family, free_port, gone
from tests.support.services import Server, postgres, redis

SILENCE = 30  # seconds without a heartbeat after which Airflow declares a task dead
SETTINGS = """\
[schedule]
cron = ""
watch = ""
retries = 6
retry_seconds = 1
light_queue = "light"
train_queue = "train"
"""
# Airflow's intervals suit a cluster that runs for years, not a test that runs for minutes.
QUICK = {
    **SPEED,
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(SILENCE),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "20",
}
PARTS = {
    "api-server": ("airflow", "api-server"),
    "scheduler": ("airflow", "scheduler", "--skip-serve-logs"),
    "dag-processor": ("airflow", "dag-processor"),
}
REPORTED = ("metadatabase", "scheduler", "dag_processor")


class SupervisedParts(Parts):
    """Parts that end with the tests, however those end."""

    def start(self, name: str, command: Sequence[str]) -> None:
        super().start(name, ended_with_us.supervised(command))


@dataclass(kw_only=True)
class Cluster(Served):
    """The parts by name ("light" and "train" are the workers) and the two servers below them."""

    parts: Parts
    database: Server
    broker: Server
    arguments: dict[str, tuple[str, ...]] = field(default_factory=dict)
    revived: "Counter[str]" = field(default_factory=Counter)

    def start(self, name: str, arguments: tuple[str, ...] = ()) -> None:
        """Start the part *name*; without *arguments*, with those of its last start."""
        self.arguments[name] = arguments or self.arguments[name]
        self.parts.start(name, module(*self.arguments[name]))
        self.process = self.parts.started["api-server"]

    def worker(self, name: str, queue: str) -> None:
        """Start a worker on *queue*, with one slot."""
        pid = self.home / "airflow" / f"{name}.pid"  # workers of one machine need one each
        options = ("--queues", queue, "--concurrency", "1", "--celery-hostname", name, "--pid", str(pid))
        self.start(name, ("airflow", "celery", "worker", "--skip-serve-logs", *options))

    def listens(self, worker: str) -> bool:
        return f"{worker} ready" in self.log_of(worker)

    def waiting_workers(self) -> int:
        """How many workers wait for messages in Redis; one with a task does not."""
        with Redis(port=self.broker.port) as redis:
            return sum(client["cmd"] == "brpop" for client in redis.client_list())

    def last_heartbeat(self, run: str, task: str) -> float:
        """When Airflow last received a heartbeat of the running task, in seconds since 1970."""
        query = "SELECT last_heartbeat_at FROM task_instance WHERE run_id = %s AND task_id = %s"
        with (
            closing(psycopg2.connect(f"postgresql://airflow@127.0.0.1:{self.database.port}/airflow")) as database,
            database.cursor() as cursor,
        ):
            cursor.execute(query, (run, task))
            return float(cursor.fetchone()[0].timestamp())

    def healthy(self, since: float = 0) -> bool:
        """Whether the parts report that they are, and the scheduler has done so *since* then (seconds since 1970)."""
        health = self.api.health()
        if any(health.get(part, {}).get("status") != "healthy" for part in REPORTED):
            return False
        heartbeat = datetime.fromisoformat(health["scheduler"]["latest_scheduler_heartbeat"] or "")
        return heartbeat.timestamp() > since

    def log_of(self, part: str) -> str:
        """What the part has printed since its last start."""
        return self.parts.logs[part].printed()

    def switch_off(self, part: str) -> None:
        """kill -9 of the part and of all that it has started, as when its machine loses power."""
        processes = self.family_of(part)  # its supervisor ends by itself
        process = self.parts.started.pop(part)
        for each in processes:
            each.send_signal(signal.SIGKILL)
        assert gone(processes, 60)
        process.wait()

    def family_of(self, part: str) -> list[psutil.Process]:
        """The processes of the part, without the supervisor that ends them with the tests."""
        return family(self.parts.started[part].pid)[1:]

    def deliver_again(self) -> None:
        """Put the messages that workers hold into their queues again, as Redis' transport does after the visibility
        timeout (kombu.transport.redis.QoS.restore_by_tag)."""
        with Redis(port=self.broker.port) as redis:
            for entry in redis.hvals("unacked"):
                message, _, queue = json.loads(entry)
                redis.lpush(queue, json.dumps(message))

    def until(self, look: Callable[[], Value | None], seconds: float = SECONDS, pause: float = PAUSE) -> Value:
        """As `Served.until`; parts that ended while the database was away are started again meanwhile."""

        def look_again() -> Value | None:
            self.revive()
            with suppress(OSError):  # the API server does not answer while it has no database
                return look()
            return None

        return super().until(look_again, seconds, pause)

    def revive(self) -> None:
        """Restart the parts that have ended, as a service manager does; one that keeps ending is an error."""
        for name in self.parts.ended():
            self.revived[name] += 1
            assert self.revived[name] < 4, f"{name} has ended again:\n{self.parts.last_words(name)}"
            self.start(name)

    def processes(self) -> list[psutil.Process]:
        return [process for part in self.parts.started.values() for process in family(part.pid)]


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """All parts, healthy; all of their processes have ended when the block is left."""
    home, settings = folder / "home", folder / "settings.toml"
    settings.write_text(SETTINGS)
    local = Local(home / "airflow", port=free_port())
    with ExitStack() as stack:
        database, broker = stack.enter_context(postgres("airflow", "mlflow")), stack.enter_context(redis())
        environment = _environment(local, home, settings, database, broker)
        parts = SupervisedParts(local.logs, environment)
        stack.callback(parts.stop)
        _migrate(environment)
        parts.start("api-server", module(*PARTS["api-server"]))
        running = Cluster(
            home, folder / "images", settings, parts.started["api-server"], Api(local.url, USER, local.password()),
            local.password(), parts=parts, database=database, broker=broker, arguments=dict(PARTS),
        )  # fmt: skip
        for name in ("scheduler", "dag-processor"):
            running.start(name)
        running.start("mlflow", _mlflow(home, environment["MLFLOW_TRACKING_URI"], database))
        for queue in ("light", "train"):
            running.worker(queue, queue)
        running.until(lambda: _ready(running))
        yield running


def _environment(local: Local, home: Path, settings: Path, database: Server, broker: Server) -> dict[str, str]:
    metadata = f"postgresql+psycopg2://airflow@127.0.0.1:{database.port}/airflow"
    chosen = {
        **QUICK,
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": "",  # its driver is not installed, and nothing here uses it
        "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{broker.port}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{metadata}",
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "90000",
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}",
        "PIPELINE_HOME": str(home),
        "PIPELINE_CONFIG": str(settings),
    }
    inherited = os.environ.keys() - CLEAN.keys()
    return {**{name: value for name, value in local.environment().items() if name not in inherited}, **chosen}


def _migrate(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _mlflow(home: Path, url: str, database: Server) -> tuple[str, ...]:
    store = f"postgresql+psycopg2://airflow@127.0.0.1:{database.port}/mlflow"
    where = ("--host", "127.0.0.1", "--port", url.rpartition(":")[2], "--workers", "1")
    return (
        *("mlflow", "server", *where, "--backend-store-uri", store),
        *("--artifacts-destination", str(home / "mlartifacts")),
    )


def _ready(running: Cluster) -> bool:
    if not running.healthy() or not all(running.listens(worker) for worker in ("light", "train")):
        return False
    with DIRECT.open(f"{running.parts.environment['MLFLOW_TRACKING_URI']}/health", timeout=5):
        return "retrain" in {dag["dag_id"] for dag in running.api.get("dags")["dags"]}
