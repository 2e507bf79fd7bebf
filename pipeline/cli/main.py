"""The command line: python -m pipeline COMMAND. Answers go to standard output, everything else to standard error."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from components.errors import ConfigError, Failure
from pipeline.cli import maintenance, registry, run, runs, training
from pipeline.cli.options import Command

DESCRIPTION = """\
Retrain an image classifier, from images to a champion in the registry:
  ingest -> validate -> normalize -> train -> evaluate -> register -> export -> promote
Results are kept in $PIPELINE_HOME (./workspace); a stage runs again only when something that it depends on changed."""

EPILOG = """\
exit status: 0 success, 2 wrong usage or settings, 3 data rejected, 4 model, export or promotion rejected,
1 any other failure, 130 interrupted (finished work is kept)."""

MODULES = (run, runs, training, registry, maintenance)
COMMANDS = {c.name: c for module in MODULES for c in vars(module).values() if isinstance(c, Command)}


def parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser("python -m pipeline", description=DESCRIPTION, epilog=EPILOG, formatter_class=raw)
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = subparsers.add_parser(
            name, help=command.help, description=command.help, epilog=EPILOG, formatter_class=raw
        )
        for option in command.options:
            option.add(sub)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    top = parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks for completions
        import argcomplete

        argcomplete.autocomplete(top)
    options = top.parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return COMMANDS[options.command].function(options)
    except ConfigError as error:
        return _failed(error, *error.problems)
    except Failure as error:
        return _failed(error, str(error))
    except KeyboardInterrupt:
        print("interrupted: finished work is kept; run the same command again to resume", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our answer has gone, as `| head` does
        sys.stderr.close()
        return 0


def _failed(error: Failure, *problems: str) -> int:
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return error.exit_code


def _terminated(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
