"""The command line: python -m pipeline COMMAND. Answers go to standard output, everything else to standard error."""

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from components.errors import ConfigError, Failure
from components.printed_commands import as_stored, repeat
from components.progress import say
from components.system import signals, streams
from pipeline.cli import (
    cleaning,
    history,
    maintenance,
    predict,
    registry,
    reproduce,
    review,
    run,
    runs,
    signing,
    training,
)
from pipeline.cli.options import Command

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

DESCRIPTION = """\
Retrain an image classifier, from images to a champion in the registry:
  ingest -> validate -> normalize -> train -> evaluate -> register -> export -> promote
Results are kept in $PIPELINE_HOME (./workspace); a stage runs again only when something that it depends on changed."""

EPILOG = """\
exit status: 0 success, 2 wrong usage or settings, 3 data rejected, 4 model, export or promotion rejected,
1 any other failure; finished work is kept after 130 (Ctrl-C), 143 (SIGTERM) and 129 (SIGHUP)."""

MODULES = (run, runs, training, registry, history, reproduce, signing, predict, review, cleaning, maintenance)
COMMANDS = {c.name: c for module in MODULES for c in vars(module).values() if isinstance(c, Command)}


class Parser(argparse.ArgumentParser):
    """argparse would say nothing of a help text that standard output does not take."""

    def print_help(self, file: "SupportsWrite[str] | None" = None) -> None:
        streams.write(self.format_help().removesuffix("\n"))


def parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    top = Parser("python -m pipeline", description=DESCRIPTION, epilog=EPILOG, formatter_class=raw)
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
    streams.open_streams()
    try:
        return _run(arguments)
    finally:
        streams.settle_streams()


def _run(arguments: Sequence[str] | None) -> int:
    signals.raise_on_signals()
    repeat(())
    as_stored(False)
    try:
        return _perform(_options(arguments))
    except ConfigError as error:
        return _failed(error, *error.problems)
    except Failure as error:
        return _failed(error, str(error))
    except KeyboardInterrupt as interrupt:
        say("interrupted: finished work is kept; run the same command again to resume")
        return signals.exit_status(interrupt)
    except BrokenPipeError:  # the reader of our answer has gone, as `| head` does
        return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    top = parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks for completions
        import argcomplete

        argcomplete.autocomplete(top)
    return top.parse_args(arguments)


def _perform(options: argparse.Namespace) -> int:
    from pipeline.home import Home
    from pipeline.store.disk_errors import storage_errors

    with storage_errors(Home.from_environment().root):
        return COMMANDS[options.command].function(options)


def _failed(error: Failure, *problems: str) -> int:
    for problem in problems:
        say(f"error: {problem}")
    return error.exit_code
