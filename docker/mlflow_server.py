"""Start MLflow's server on the database that the file $MLFLOW_DATABASE_FILE names (postgresql+psycopg2://...).

An empty database is filled by the server itself; one that an older MLflow filled is brought up to date first.
"""

import os
import subprocess
from pathlib import Path

import psycopg2

MLFLOW = "/opt/venv/bin/mlflow"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - in the container; compose.yaml publishes it on loopback
SERVER = ("--host", EVERYWHERE, "--port", "5000", "--workers", "1", "--artifacts-destination", "/mlartifacts")


def filled(url: str) -> bool:
    """Whether MLflow has created its tables in the database."""
    with psycopg2.connect(url.replace("+psycopg2", "")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('alembic_version') IS NOT NULL")
        return bool(cursor.fetchone()[0])


def main() -> None:
    url = Path(os.environ["MLFLOW_DATABASE_FILE"]).read_text().strip()
    if filled(url):
        subprocess.run([MLFLOW, "db", "upgrade", url], check=True)
    os.environ["MLFLOW_BACKEND_STORE_URI"] = url  # in the environment: arguments are visible to all users
    os.execv(MLFLOW, [MLFLOW, "server", *SERVER])  # noqa: S606 - no shell is needed


if __name__ == "__main__":
    main()
