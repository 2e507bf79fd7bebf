"""The secrets of the containers, generated at the first start and kept beside the compose file.

docker/secrets/        0700: closed to other users of the machine
  airflow_login        {"admin": PASSWORD}
  airflow_database  mlflow_database  postgres_password
  airflow_broker  airflow_fernet_key  airflow_jwt_secret  airflow_session_key

The files are 0644 because each is mounted into containers whose users have other numbers than yours.
"""

import base64
import json
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from components.errors import ConfigError
from components.system.files import write_atomically

USER = "admin"


def _url(scheme: str, user: str, host: str) -> str:
    return f"{scheme}://{user}:{secrets.token_hex(24)}@{host}"


GENERATORS: dict[str, Callable[[], str]] = {
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
    """Generate the secrets that are missing in *folder*; *volume* names the database's volume, "" where there is none.

    Raises ConfigError where the database was created with secrets that are gone: new ones would not open it.
    """
    missing = [name for name in GENERATORS if not (folder / name).is_file()]
    if missing and volume:
        raise ConfigError(
            f"{folder} has no {missing[0]}, but the volume {volume} was created with it; restore the folder, or delete "
            "the volumes: make down VOLUMES=1"
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in missing:
        write_atomically(folder / name, GENERATORS[name]())


def password(folder: Path) -> str:
    """The password of Airflow's only login."""
    return str(json.loads((folder / "airflow_login").read_text())[USER])


def delete(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
