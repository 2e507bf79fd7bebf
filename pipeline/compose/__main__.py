"""The containers of docker/: python -m pipeline.compose up | down [--volumes]"""

import argparse
import os
import sys
from collections.abc import Sequence

from components.errors import Failure
from components.progress import say
from components.system import signals, streams
from pipeline.compose import lifecycle


def main(arguments: Sequence[str] | None = None) -> int:
    streams.open_streams()
    signals.raise_on_signals()
    parser = argparse.ArgumentParser("python -m pipeline.compose", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="build, start, wait until all are healthy, print addresses and login")
    stopping = commands.add_parser("down", help="stop")
    stopping.add_argument("--volumes", action="store_true", help="delete what they keep, and the secrets")
    options = parser.parse_args(arguments)
    try:
        if options.command == "up":
            lifecycle.up(os.environ)
        else:
            lifecycle.down(os.environ, volumes=options.volumes)
    except Failure as error:
        say("\n".join(f"error: {line}" for line in str(error).splitlines()))
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        say("containers that were started keep running; make down stops them")
        return signals.exit_status(interrupt)
    return 0


if __name__ == "__main__":
    sys.exit(main())
