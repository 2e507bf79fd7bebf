"""`make airflow` with stand-ins of Airflow's parts, each of which starts two processes: python -m ... FOLDER-OF-LOGS"""

import os
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from components.system.descendants import no_descendants_left
from components.system.guard import continue_guarded
from components.system.signals import raise_on_signals
from pipeline.airflow.standalone.processes import Parts
from pipeline.airflow.standalone.serve import supervise
from pipeline.airflow.standalone.supervision import FIRST, Supervision

# One process in the part's session and one in a session of its own.
FAMILY = ("sh", "-c", "sleep 600 & setsid sleep 600 & wait")


def main(folder: Path) -> None:
    raise_on_signals()
    commands = dict.fromkeys((FIRST, "scheduler", "triggerer"), FAMILY)
    parts = Parts(folder, dict(os.environ))
    with no_descendants_left(), suppress(KeyboardInterrupt), ExitStack() as stack:
        stack.callback(parts.stop)
        for name, command in commands.items():
            parts.start(name, command)
        supervise(parts, Supervision(parts, commands, answers=lambda: True))


if __name__ == "__main__":
    continue_guarded()
    main(Path(sys.argv[1]))
