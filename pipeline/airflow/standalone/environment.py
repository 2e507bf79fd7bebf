"""The settings of a local Airflow: everything on loopback and below one folder, one login, LocalExecutor on SQLite.

$PIPELINE_HOME/airflow/ open to its owner only
  airflow.db            its metadata
  passwords.json        the login
  secret                the key that signs its tokens
  environment.json      the variables that are its settings, for `make airflow-shell`
  scheduler.lock        held while its scheduler or a task runs
  logs/                 of the tasks; logs/parts/ of Airflow's own processes
"""

import contextlib
import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.registry.database import address_of
from components.settings.fields import variable
from components.system.files import write_atomically
from pipeline.airflow.dag_files import settings_files, settings_folder
from pipeline.config import located, settings_file, written
from pipeline.home import Home

ROOT = Path(__file__).parents[3]
DAGS = ROOT / "dags"
USER = "admin"
PARALLEL_TASKS = 4
POOL_SETTING, POOL = "schedule.train_pool", "training"
PATIENCE = 60  # seconds that Airflow's processes wait for each other
SECONDS_TO_READ_A_DAG = 300  # Airflow removes a DAG that it did not read in time
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
EVERYWHERE = "0.0.0.0"  # noqa: S104 - a value that HOST may have
KEPT, SCHEDULER_LOCK = "environment.json", "scheduler.lock"
# Variables that settle what Airflow, its tasks and their libraries do
SETTINGS = (
    "PIPELINE_", "AIRFLOW_", "MLFLOW_TRACKING_", "MNIST_DIR", "TFDS_DATA_DIR", "NOTIFY_", "AWS_", "CUDA_", "PYTHONPATH",
    "SSL_CERT_", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
)  # fmt: skip


@dataclass(frozen=True)
class Local:
    """Where a local Airflow lives and listens."""

    home: Path
    host: str = "127.0.0.1"
    port: int = 8080

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://{self.name}:{self.port}"

    @property
    def name(self) -> str:
        """The host in addresses for browsers: EVERYWHERE can be listened on, not connected to."""
        return socket.gethostname() if self.host == EVERYWHERE else self.host

    @property
    def connect_host(self) -> str:
        """The host under which processes of this machine connect to it."""
        return "127.0.0.1" if self.host == EVERYWHERE else self.host

    @property
    def logs(self) -> Path:
        return self.home / "logs" / "parts"

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables for each of Airflow's processes; what the user has set wins over the defaults below."""
        self._keep_private()
        self.password()  # Airflow makes one of its own where there is none
        path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
        return {**self._defaults(), **os.environ, **self._fixed(), "PYTHONPATH": path, **(extra or {})}

    def keep(self, environment: Mapping[str, str]) -> None:
        """Keep what *environment* adds to that of a shell, for `make airflow-shell`."""
        added = {n: v for n, v in environment.items() if _is_setting(n) or os.environ.get(n) != v}
        write_atomically(self.home / KEPT, json.dumps(added, indent=1), mode=PRIVATE_FILE)

    def _keep_private(self) -> None:
        """Let nobody else read database and logs: they hold what tasks print, and the sessions of the login."""
        logs, database = self.home / "logs", self.home / "airflow.db"
        logs.mkdir(parents=True, exist_ok=True)
        database.touch(PRIVATE_FILE)
        with contextlib.suppress(PermissionError):  # they are another user's, who shares them
            for path, mode in ((self.home, PRIVATE_FOLDER), (logs, PRIVATE_FOLDER), (database, PRIVATE_FILE)):
                path.chmod(mode)

    def _defaults(self) -> dict[str, str]:
        """One training at a time, and patient timeouts: on a machine that trains, every answer may take a while."""
        return {
            **_pool(),
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": str(PATIENCE),
            # Together two minutes and more, in which the API server may be started again at no task's cost
            "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "30",
            "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "10",
            "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": f"0o{PRIVATE_FOLDER:o}",
            "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": f"0o{PRIVATE_FILE:o}",
            "AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS": "pipeline.airflow.standalone.logging_config.LOGGING_CONFIG",
            "AIRFLOW__CORE__PARALLELISM": str(PARALLEL_TASKS),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__DEFAULT_WRAP": "True",  # of a log's lines: a failure's message ends with what to do
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": str(SECONDS_TO_READ_A_DAG),
            "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": str(SECONDS_TO_READ_A_DAG),
            "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": str(2 * SECONDS_TO_READ_A_DAG),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }

    def _fixed(self) -> dict[str, str]:
        return {
            "AIRFLOW_HOME": str(self.home),
            "no_proxy": ",".join(filter(None, (self.connect_host, _no_proxy()))),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            **self._bundle(),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(Path(__file__).parents[1] / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"{address_of(self.home / 'airflow.db')}?timeout={PATIENCE}",
            "AIRFLOW__API__HOST": self.host,
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{self.connect_host}:{self.port}/execution/",
            "AIRFLOW__API_AUTH__JWT_SECRET": self._kept("secret", secrets.token_hex(64)),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
        }

    def _bundle(self) -> dict[str, str]:
        """The variables of a folder of settings files; none where there is one file, or nothing."""
        folder = settings_folder()
        if not folder:
            return {}
        return {
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle(folder)]),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(self.home / "dag_bundles"),
        }

    def password(self) -> str:
        """The password of the one login, generated at the first start."""
        kept = json.loads(self._kept("passwords.json", json.dumps({USER: secrets.token_urlsafe(9)})))
        return str(kept[USER])

    def _kept(self, name: str, fresh: str) -> str:
        """The content of the file *name*, which is written with *fresh* where it is missing."""
        file = self.home / name
        if not file.exists():
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as stream:
                stream.write(fresh)
        return file.read_text()


def bundle(folder: Path) -> dict[str, object]:
    """The DAG bundle that makes DAGs of each settings file in *folder*."""
    classpath = "pipeline.airflow.settings_folder.SettingsFolder"
    return {"name": "settings", "classpath": classpath, "kwargs": {"folder": str(folder)}}


def kept_environment(home: Path) -> dict[str, str]:
    """What `Local.keep` kept of the last start of the Airflow in the folder *home*; raises FileNotFoundError."""
    kept: dict[str, str] = json.loads((home / KEPT).read_text())
    return kept


def settings_variables(home: Home) -> dict[str, str]:
    """The variables of this process that are settings, for a process that is started elsewhere: by absolute paths."""
    chosen = {name: value for name, value in os.environ.items() if value and _is_setting(name)}
    return {**chosen, "PIPELINE_HOME": str(home.root), **config_variable()}


def config_variable() -> dict[str, str]:
    """The variable that names the settings file or folder, by its absolute path; none where there is neither."""
    file = settings_file()
    return {"PIPELINE_CONFIG": str(located(file).absolute())} if file else {}


def _pool() -> dict[str, str]:
    """The variable that names the pool of the trainings, unless a settings file does."""
    folder = settings_folder()
    files = [str(file) for file in settings_files(folder)] if folder else [settings_file()]
    return {} if any(POOL_SETTING in written(file)[0] for file in files) else {variable(POOL_SETTING): POOL}


def _is_setting(name: str) -> bool:
    return name.upper().startswith(SETTINGS)


def _no_proxy() -> str:
    return os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
