"""How a command is declared: its help, its options and its function in one place; and the options that several share.

    @command("show what a run did", RUN, JSON)
    def show(options: Namespace) -> int: ...

is the command `show`; `find_lr` would be `find-lr`. pipeline/cli/main.py builds the parser from these declarations, so
a module that declares commands imports whatever is heavy inside its functions: `--help` imports them all.
"""

from argparse import Action, ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.printed_commands import repeat
from pipeline.cli import completion
from pipeline.graph import STAGES

if TYPE_CHECKING:
    from components.settings.sections import Params
    from pipeline.home import Home

Function = Callable[[Namespace], int]  # options in, exit status out


class Option:
    """An option or argument of a command: what `ArgumentParser.add_argument` takes, and how the shell completes it."""

    def __init__(self, *names: str, completer: Callable[[str], Iterable[str]] | None = None, **details: Any) -> None:
        self.names, self.completer, self.details = names, completer, details

    def add(self, parser: ArgumentParser) -> None:
        action: Action = parser.add_argument(*self.names, **self.details)
        if self.completer:
            complete = self.completer
            vars(action)["completer"] = lambda prefix, **_: complete(prefix)  # where argcomplete looks for it


@dataclass(frozen=True)
class Command:
    name: str
    help: str
    options: tuple[Option, ...]
    function: Function


def command(help: str, *options: Option) -> Callable[[Function], Command]:
    """Declare the function below as the command of the same name."""

    def declare(function: Function) -> Command:
        return Command(function.__name__.replace("_", "-"), help, options, function)

    return declare


SETTINGS = (
    Option(
        "--source",
        default="",
        completer=completion.sources,
        help="auto, a data set such as mnist or tfds:NAME, s3://BUCKET/PREFIX, or a folder or archive of images",
    ),
    Option(
        "--config",
        default="",
        metavar="FILE",
        completer=completion.settings_files,
        help="TOML file of settings ($PIPELINE_CONFIG)",
    ),
    Option(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        completer=completion.settings,
        help="one setting, such as train.epochs=3; may be repeated",
    ),
)
JSON = Option("--json", action="store_true", help="print JSON, for programs")
NAME = Option("name", nargs="?", default="", metavar="NAME", help="registered model (default: all)")
MODEL = Option("--name", default="", metavar="MODEL", help="registered model; needed where there are several")


def stage_option(*names: str, **details: Any) -> Option:
    return Option(*names, choices=list(STAGES), metavar="STAGE", **details)


def home() -> "Home":
    """The workspace that the environment names; raises ConfigError where a variable is misspelt."""
    from pipeline.config import check_variables
    from pipeline.home import Home

    check_variables()
    return Home.from_environment()


def given(options: Namespace) -> list[str]:
    """The arguments of SETTINGS that the command line gave."""
    arguments = ["--source", options.source] if options.source else []
    arguments += ["--config", options.config] if options.config else []
    return arguments + [part for setting in options.set for part in ("--set", setting)]


def params(options: Namespace) -> "Params":
    """The settings of the run that SETTINGS describe; commands that are printed from now on repeat them."""
    from pipeline import run_settings

    repeat(given(options))
    return run_settings.load(options.set, options.source, options.config)
