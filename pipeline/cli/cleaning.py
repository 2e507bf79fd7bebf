"""Command on a folder of images: clean."""

from argparse import Namespace
from typing import TYPE_CHECKING

from components.errors import ConfigError
from components.printed_commands import with_interpreter
from components.system.streams import answer
from pipeline.cli.options import JSON, SETTINGS, Option, command, given, home, params
from pipeline.cli.output import print_json

if TYPE_CHECKING:
    from pathlib import Path

    from components.data.problems import Problem
    from pipeline.moved_files import Moved

SHOWN = 10  # files of each kind; --json prints all


@command(
    "list the files of a folder of images that have a problem, and move them out of it",
    *SETTINGS,
    JSON,
    Option("--apply", action="store_true", help="move the files into FOLDER.removed; without it nothing is moved"),
    Option(
        "--only",
        default="",
        metavar="KINDS",
        help="unreadable, duplicates, blank (these three where it is left out), nearly-blank, near-duplicates, "
        "label-conflicts, suspected-labels",
    ),
    Option("--undo", action="store_true", help="move the files in FOLDER.removed back"),
)
def clean(options: Namespace) -> int:
    from pipeline import cleaning, moved_files

    if options.apply and options.undo:
        raise ConfigError("--apply moves files and --undo moves them back; give one of them")
    chosen, settings = cleaning.kinds(options.only), params(options)
    root = cleaning.folder(settings)
    if options.undo:
        return _report(options, moved_files.restore(root), root)
    problems = cleaning.found(settings, home())
    files = cleaning.paths([row for kind in chosen for row in problems[kind]])
    if options.apply and files:
        return _report(options, moved_files.remove(root, files), moved_files.removed_folder(root))
    if options.json:
        print_json({kind: [row.image.file for row in rows] for kind, rows in problems.items()})
    else:
        answer(_listed(problems) + "\n" + _would_move(options, problems, chosen, files))
    return 0


def _listed(found: "dict[str, list[Problem]]") -> str:
    lines = []
    for kind, rows in found.items():
        if rows:
            lines.append(f"{kind}: {len(rows):,}")
            lines += [f"  {row.image}: {row.detail}" for row in rows[:SHOWN]]
            lines += [f"  and {len(rows) - SHOWN:,} more"] if len(rows) > SHOWN else []
    return "\n".join(lines)


def _would_move(
    options: Namespace, found: "dict[str, list[Problem]]", chosen: tuple[str, ...], files: list[str]
) -> str:
    others = [kind for kind, rows in found.items() if rows and kind not in chosen]
    more = f"; --only {','.join(others)} moves the others" if others else ""
    if not files:
        return f"nothing to move ({', '.join(chosen)}){more}"
    only = ["--only", options.only] if options.only else []
    command = _command(options, "--apply", *only)
    return f"{_count(len(files))} would be moved ({', '.join(chosen)}){more}\nnext  {command}"


def _report(options: Namespace, moved: "Moved", target: "Path") -> int:
    if options.json:
        print_json({"moved": moved.files, "left": moved.left})
        return 1 if moved.left else 0
    lines = [f"left {file}: {reason}" for file, reason in moved.left.items()]
    lines.append(f"{_count(len(moved.files))} moved into {target}")
    if moved.files and not options.undo:
        lines.append(f"undo  {_command(options, '--undo')}")
    answer("\n".join(lines))
    return 1 if moved.left else 0


def _count(files: int) -> str:
    return f"{files:,} file{'' if files == 1 else 's'}"


def _command(options: Namespace, *more: str) -> str:
    """This command with the settings that it was given, and *more*."""
    from pipeline.commands import pipeline_command

    return with_interpreter(pipeline_command("clean", *given(options), *more))
