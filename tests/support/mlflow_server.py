"""A real MLflow server on loopback, which keeps the artifacts itself."""

import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.registry.client import Registry
from components.registry.model_version import ModelVersion
from tests.support import ended_with_us
from tests.support.airflow_server import free_port


@contextmanager
def mlflow_server(folder: Path, empty_database: Path) -> Iterator[str]:
    """Its address; *folder* takes its database, its log and the artifacts."""
    shutil.copy(empty_database, folder / "server.db")
    port, python = free_port(), sys.executable
    command = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", f"{folder}/files"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("w") as log:
        process = ended_with_us.start(command, env=environment, stdout=log, stderr=log, cwd=folder)
        while not _answers(port):
            assert process.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        process.wait(timeout=60)


def add_version(registry: Registry, name: str, tags: dict[str, str] | None = None) -> ModelVersion:
    """A new version of the model *name* on the server of *registry*, from a logged model that has no files yet.

    Of an experiment that was made there: the database was made elsewhere, and so was its default experiment.
    """
    client = registry.client
    experiment = client.get_experiment_by_name(name)
    logged = client.create_logged_model(
        experiment.experiment_id if experiment else client.create_experiment(name), name
    )
    version = registry.version(name, registry.create_version(name, logged, tags or {}, ""))
    assert version
    return version


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
