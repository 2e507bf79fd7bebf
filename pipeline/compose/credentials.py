"""The secrets of the containers, made up at the first start and kept beside the compose file.

docker/secrets/        0700: no other user of the machine gets at what is in it
  airflow_login        {"admin": PASSWORD}
  airflow_database  mlflow_database  postgres_password
  airflow_broker  airflow_fernet_key  airflow_jwt_secret  airflow_session_key

The files are 0644 because each is mounted into containers whose users have numbers of their own.
"""

import base64
import json
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from components.errors import ConfigError

USER = "admin"


def _url(scheme: str, user: str, host: str) -> str:
    return f"{scheme}://{user}:{secrets.token_hex(24)}@{host}"


FRESH: dict[str, Callable[[], str]] = {
    "postgres_password": lambda: secrets.token_hex(24),
    "airflow_database": lambda: _url("postgresql+psycopg2", "airflow", "postgres/airflow"),
    "mlflow_database": lambda: _url("postgresql+psycopg2", "mlflow", "postgres/mlflow"),
    "airflow_broker": lambda: _url("redis", "default", "redis/0"),
    "airflow_fernet_key": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "airflow_jwt_secret": lambda: secrets.token_hex(64),
    "airflow_session_key": lambda: secrets.token_hex(32),
    "airflow_login": lambda: json.dumps({USER: secrets.token_urlsafe(9)}),
}


def ensure(folder: Path, volume: str) -> None:
    """Make what is missing in *folder*. *volume* is the name of the database's, "" where there is none yet.

    Raises ConfigError where the database was made with secrets that are gone: new ones would not open it.
    """
    missing = [name for name in FRESH if not (folder / name).is_file()]
    if missing and volume:
        raise ConfigError(
            f"{folder} has no {missing[0]}, but the volume {volume} was made with it; put the folder back, or forget "
            "the volumes: make down VOLUMES=1"
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in missing:
        _write(folder / name, FRESH[name]())


def _write(file: Path, text: str) -> None:
    draft = file.with_suffix(".part")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    draft.chmod(0o644)
    draft.replace(file)


def password(folder: Path) -> str:
    """The password of Airflow's one login."""
    return str(json.loads((folder / "airflow_login").read_text())[USER])


def forget(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
