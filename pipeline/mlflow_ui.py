"""MLflow's server on the registry of the workspace: python -m pipeline.mlflow_ui OPTIONS OF MLFLOW SERVER.

Its tables are made before it starts, as a run makes them: a server that is killed while it makes them itself leaves
a database that nothing can open.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from components.errors import Failure
from components.progress import say
from components.registry import database
from components.registry.client import answering
from components.system.ports import expect_free
from pipeline.home import Home


def variables(home: Home) -> dict[str, str]:
    """The variables that name the database to the server; no argument, for those are visible to all users.

    A file is named without its folder, in which the server runs: MLflow would make folders of an encoded path.
    """
    file = database.path_of(home.tracking_uri)
    store = f"sqlite:///{file.name}" if file else home.tracking_uri
    return {
        "MLFLOW_BACKEND_STORE_URI": store,
        "MLFLOW_REGISTRY_STORE_URI": store,
        "MLFLOW_ARTIFACTS_DESTINATION": (home.root / "mlartifacts").as_uri(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def main(options: Sequence[str]) -> int:
    """Become the server; returns where the registry cannot be opened."""
    home = Home.from_environment()
    try:
        address = _free_address(options)
        if file := database.path_of(home.tracking_uri):
            with answering(home.tracking_uri):
                database.prepare(file)
            os.chdir(file.parent)
    except Failure as failure:
        say(f"error: {failure}")
        return failure.exit_code
    say(address)
    command = [sys.executable, "-m", "mlflow", "server", *options]
    os.execve(command[0], command, {**os.environ, **variables(home)})  # noqa: S606 - the program is this Python


def _free_address(options: Sequence[str]) -> str:
    """Where the server will be; raises ConfigError where that is taken, which MLflow would say below a traceback."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", default=5000, type=int)
    given, _ = parser.parse_known_args(options)
    expect_free(given.host, given.port, "MLFLOW_PORT", "make mlflow")
    return f"http://{given.host}:{given.port}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
