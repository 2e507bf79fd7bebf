"""The command `airflow` for the Airflow of `make airflow`: python -m pipeline.airflow.standalone.shell [ARGUMENTS]

With arguments it runs `airflow ARGUMENTS`, without it starts a shell. All settings of that Airflow are variables, which
each start leaves in $PIPELINE_HOME/airflow/environment.json.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from components.errors import ConfigError, Failure
from components.progress import say
from components.system.locks import is_locked
from pipeline.airflow.standalone.environment import SCHEDULER_LOCK, kept_environment
from pipeline.home import Home

DELETING = (["tasks", "test"], ["dags", "test"])


def main(arguments: Sequence[str]) -> int:
    """Become the command or the shell; returns where Airflow was never started in this workspace."""
    home = Home.from_environment()
    try:
        environment = {**os.environ, **_kept(home.airflow)}
        _expect_harmless(arguments, home.airflow)
    except Failure as error:
        say(f"error: {error}")
        return error.exit_code
    if arguments:
        os.execve(sys.executable, [sys.executable, "-m", "airflow", *arguments], environment)  # noqa: S606
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    say(f"airflow is now the command of the Airflow in {home.airflow}; exit ends this shell")
    shell = os.environ.get("SHELL") or "/bin/sh"
    os.execvpe(shell, [shell], environment)  # noqa: S606


def _expect_harmless(arguments: Sequence[str], folder: Path) -> None:
    """Raise ConfigError for a command that deletes runs which the scheduler has read."""
    if list(arguments[:2]) in DELETING and is_locked(folder / SCHEDULER_LOCK):
        dag = next((word for word in arguments[2:] if not word.startswith("-")), "retrain")
        raise ConfigError(
            f"airflow {arguments[0]} test deletes runs under the scheduler, which would end; run a stage by "
            f"python -m pipeline stage NAME, a whole run by make airflow-shell ARGS='dags trigger {dag}'"
        )


def _kept(folder: Path) -> dict[str, str]:
    try:
        return kept_environment(folder)
    except FileNotFoundError:
        raise ConfigError(f"there is no Airflow in {folder} yet; make airflow starts one") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
