"""The command line: python -m pipeline COMMAND. Answers go to standard output, all else to standard error."""

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from components.errors import ConfigError, Failure
from pipeline.graph import STAGES

DESCRIPTION = """\
Retrain an image classifier, from images to a champion in the registry:
  ingest -> validate -> normalize -> train -> evaluate -> register -> export -> promote
Every stage keeps its result under $PIPELINE_HOME (./workspace); what is there already is not made again."""

EPILOG = """\
exit status: 0 all is well, 2 wrong usage or settings, 3 the data were rejected, 4 the model, its export or its
promotion was rejected, 1 anything else, 130 interrupted (what was finished is kept)."""


def parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        "python -m pipeline", description=DESCRIPTION, epilog=EPILOG, formatter_class=formatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, help: str, *, settings: bool = False, json: bool = False) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help, epilog=EPILOG, formatter_class=formatter)
        if settings:
            sub.add_argument("--source", default="", help="auto, mnist, digits, tfds:NAME or a folder of images")
            sub.add_argument("--config", default="", metavar="FILE", help="TOML file of settings ($PIPELINE_CONFIG)")
            sub.add_argument(
                "--set", action="append", default=[], metavar="NAME=VALUE", help="one setting, such as train.epochs=3"
            )
        if json:
            sub.add_argument("--json", action="store_true", help="print JSON, for programs")
        return sub

    run = command("run", "run every stage that has something to do", settings=True, json=True)
    run.add_argument("--until", default="", choices=["", *STAGES], metavar="STAGE", help="stop after this stage")
    run.add_argument("--force", action="append", default=[], choices=list(STAGES), metavar="STAGE", help="make anew")
    stage = command("stage", "run one stage; those that it reads must have run", settings=True, json=True)
    stage.add_argument("stage", choices=list(STAGES), metavar="STAGE", help=", ".join(STAGES))
    stage.add_argument("--run", default="", metavar="ID", help="the run that this stage is part of")
    explain = command("explain", "tell what would run, and why", settings=True, json=True)
    explain.add_argument("stage", nargs="?", default="", choices=["", *STAGES], metavar="STAGE")
    command("find-lr", "try learning rates in one short training, and suggest one", settings=True, json=True)
    show = command("show", "tell what a run did (the last one, where none is named)", json=True)
    show.add_argument("run", nargs="?", default="", metavar="RUN", help="its name or the first letters of it")
    tune = command("tune", "search for better settings: [tune.space] of the settings file", settings=True, json=True)
    _search(tune)
    command("runs", "list the runs, the newest first", json=True)
    command("settings", "list every setting with its value and meaning", settings=True, json=True)
    command("verify", "read every stored byte again; status 1 where one is not as it was published", json=True)
    gc = command("gc", "delete what neither the champion, the challenger nor the last runs need", json=True)
    gc.add_argument("--dry-run", action="store_true", help="only tell what would go")
    gc.add_argument("--keep", type=int, default=5, metavar="N", help="how many of the last runs to keep (5)")
    models = command("models", "list the registered versions, their aliases and accuracy", json=True)
    models.add_argument("name", nargs="?", default="", metavar="NAME", help="one registered model; all, where left out")
    promote = command("promote", "make a version the champion by hand")
    promote.add_argument("version", metavar="VERSION", help="a version's number (python -m pipeline models)")
    promote.add_argument("--force", action="store_true", help="do it: no gate is asked")
    rollback = command("rollback", "give the alias champion back to the version that had it before")
    _why(promote)
    _why(rollback, "rolled back by hand")
    command("report", "print the path of the last run's report")
    return top


def _search(tune: argparse.ArgumentParser) -> None:
    for name, kind, help in (
        ("trials", int, "trials to finish in all"),
        ("parallel", int, "trials at a time"),
        ("seconds", float, "longest time for this call"),
    ):
        tune.add_argument(f"--{name}", type=kind, metavar=name[0].upper(), help=f"{help} ([tune] {name})")
    tune.add_argument("--study", metavar="NAME", help="name of the study, to go on with or to begin")
    tune.add_argument("--out", default="", metavar="FILE", help="profile to write; $PIPELINE_HOME/tune/STUDY.toml")


def _why(sub: argparse.ArgumentParser, default: str = "") -> None:
    sub.add_argument("--reason", default=default, metavar="TEXT", help="why, for the promotion log")
    sub.add_argument("--name", default="", metavar="MODEL", help="registered model; needed where there are several")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminated)
    from pipeline.cli import commands
    from pipeline.runner import PublishedElsewhere

    try:
        status: int = getattr(commands, options.command.replace("-", "_"))(options)
        return status
    except ConfigError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        return error.exit_code
    except Failure as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except PublishedElsewhere as end:
        print(end, file=sys.stderr)
        return 0
    except KeyboardInterrupt:
        print("interrupted: what was finished is kept; run it again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our answer has gone, as `| head` does
        sys.stderr.close()
        return 0


def _terminated(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
