"""The containers of docker/: python -m pipeline.compose up | down [--volumes]"""

import argparse
import os
import sys
from collections.abc import Sequence

from components.errors import Failure
from components.progress import say
from pipeline.compose import lifecycle


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m pipeline.compose", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="build and start, wait until all are healthy, print addresses and login")
    ending = commands.add_parser("down", help="end")
    ending.add_argument("--volumes", action="store_true", help="forget what they keep, and the secrets")
    options = parser.parse_args(arguments)
    try:
        if options.command == "up":
            lifecycle.up(os.environ)
        else:
            lifecycle.down(os.environ, volumes=options.volumes)
    except Failure as error:
        say("\n".join(f"error: {line}" for line in str(error).splitlines()))
        return error.exit_code
    except KeyboardInterrupt:
        say("what was started goes on; make down ends it")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
