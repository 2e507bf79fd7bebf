"""The variables of docker/compose.yaml, from those that the user set: checked, and with absolute paths.

PORT MLFLOW_PORT SERVE_PORT    where Airflow, MLflow and the server are published on 127.0.0.1
SOURCE                  source of the runs, as in `make pipeline SOURCE=`; a folder is mounted: IMAGES, IMAGES_NAME
MNIST_DIR               folder with MNIST's four IDX files, mounted
SETTINGS, or CONFIG     folder with a settings file for each model, such as settings.toml, mounted
SECRETS                 folder of the secrets
WORKERS WORKER_MEMORY WORKER_CPUS    how many, and the limits of each
"""

import itertools
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from components.errors import ConfigError
from components.ingest import select
from components.ingest.reading.naming import archive_suffix, source_name
from components.system.files import expanded
from pipeline.run_record import git_commit

DOCKER = Path(__file__).parents[2] / "docker"
MOUNTED_IMAGES = "/data/images"
PORTS = {"PORT": "8080", "MLFLOW_PORT": "5000", "SERVE_PORT": "8000"}


def variables(environment: Mapping[str, str], processors: str) -> dict[str, str]:
    """The variables for compose; raises ConfigError with every problem."""
    problems: list[str] = []
    values = {
        **_ports(environment, problems),
        "WORKERS": _workers(environment, problems),
        "WORKER_CPUS": environment.get("WORKER_CPUS") or processors,
        "SECRETS": str(secrets_folder(environment)),
        "SETTINGS": _settings(environment, problems),
        "COMMIT": git_commit(),
        **_mnist(environment, problems),
        **_source(environment, problems),
    }
    if problems:
        raise ConfigError(*problems)
    return values


def secrets_folder(environment: Mapping[str, str]) -> Path:
    return _absolute(environment.get("SECRETS") or str(DOCKER / "secrets"))


def _absolute(path: str) -> Path:
    return Path(expanded(path)).absolute()


def _readable(name: str, folder: Path, problems: list[str]) -> Path:
    """*folder*, once it is checked that the containers' users can read it: on Linux they are others than its owner."""
    if sys.platform == "linux" and folder.is_dir() and folder.stat().st_mode & 0o005 != 0o005:
        problems.append(f"{name} is {folder}, which the containers' users cannot read: chmod -R o+rX {folder}")
    return folder


def _ports(environment: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    ports = {name: environment.get(name) or default for name, default in PORTS.items()}
    for name, port in ports.items():
        if not (port.isdecimal() and 1 <= int(port) <= 65535):
            problems.append(f"{name} is {port!r}; expected a port, 1 to 65535: make up {name}={PORTS[name]}")
    for one, other in itertools.combinations(ports, 2):
        if ports[one] == ports[other]:
            free = int(PORTS[other]) + 1
            problems.append(f"{one} and {other} are both {ports[one]}; choose another one: make up {other}={free}")
    return ports


def _workers(environment: Mapping[str, str], problems: list[str]) -> str:
    workers = environment.get("WORKERS") or "2"
    if not (workers.isdecimal() and int(workers) >= 1):
        problems.append(f"WORKERS is {workers!r}; expected a number, 1 or more: make up WORKERS=2")
    return workers


def settings_folder(environment: Mapping[str, str]) -> Path:
    chosen = [environment.get("SETTINGS", ""), *filter(os.path.isdir, [expanded(environment.get("CONFIG", ""))])]
    return _absolute(next(filter(None, chosen), str(DOCKER / "settings")))


def _settings(environment: Mapping[str, str], problems: list[str]) -> str:
    folder = settings_folder(environment)
    if not any(folder.glob("*.toml")):
        problems.append(
            f"SETTINGS is {folder}, which has no settings.toml; expected a folder like docker/settings: "
            "make up SETTINGS=FOLDER"
        )
    return str(_readable("SETTINGS", folder, problems))


def _mnist(environment: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    if not environment.get("MNIST_DIR"):
        return {}
    folder = _absolute(environment["MNIST_DIR"])
    if not folder.is_dir():
        problems.append(f"MNIST_DIR is {folder}, which is not a folder; expected one with MNIST's four IDX files")
    return {"MNIST_DIR": str(_readable("MNIST_DIR", folder, problems))}


def _source(environment: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    """A folder keeps its name inside the containers, because the model is named after it."""
    source = environment.get("SOURCE", "")
    if not source:
        return {}
    if select.is_name(source):
        return {"PIPELINE_INGEST_SOURCE": source}
    folder = _absolute(source)
    suffix = archive_suffix(folder.name) if folder.is_file() else ""
    if not folder.is_dir() and not suffix:
        problems.append(f"SOURCE is {source!r}; expected auto, {select.expected()}")
    _readable("SOURCE", folder, problems)
    name = f"{source_name(folder)}{suffix}"
    return {"IMAGES": str(folder), "IMAGES_NAME": name, "PIPELINE_INGEST_SOURCE": f"{MOUNTED_IMAGES}/{name}"}
