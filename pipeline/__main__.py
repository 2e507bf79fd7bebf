# PYTHON_ARGCOMPLETE_OK
"""python -m pipeline COMMAND."""

import sys

from pipeline.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
