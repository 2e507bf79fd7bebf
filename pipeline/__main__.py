# PYTHON_ARGCOMPLETE_OK
"""python -m pipeline COMMAND."""

import sys
import traceback

from components.progress import say
from pipeline.cli.main import main


def run() -> int:
    """Run a command; returns the exit status. Also installed as retraining-pipeline."""
    # the traceback of a bug is public too: libraries quote addresses with their logins
    sys.excepthook = lambda *bug: say("".join(traceback.format_exception(*bug)).rstrip())
    return main()


if __name__ == "__main__":
    sys.exit(run())
