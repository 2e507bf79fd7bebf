"""Command reproduce: make a registered version again, and compare."""

import shutil
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import ConfigError
from components.progress import say
from components.system.files import expanded
from components.system.streams import answer
from pipeline.cli import completion
from pipeline.cli.options import JSON, Option, command, home
from pipeline.cli.output import failures_printed, print_facts, print_json
from pipeline.cli.registry import check_name, only

if TYPE_CHECKING:
    from pipeline.reproduce.comparison import Result
    from pipeline.reproduce.reproduction import Request


@command(
    "make a registered version again from its commit, packages, settings and images, and compare it bit for bit",
    Option("version", metavar="VERSION", help="a version's number, or an alias such as champion"),
    Option(
        *("--model", "--name"),
        dest="name",
        default="",
        metavar="NAME",
        completer=completion.models,
        help="registered model; needed where there are several",
    ),
    Option("--check", action="store_true", help="only say whether it could be made again, and how exactly"),
    Option("--source", default="", metavar="FOLDER", help="where its images are now (default: where they were)"),
    Option("--threads", type=int, metavar="N", help="train in N threads (default: as many as then)"),
    Option("--home", default="", metavar="DIR", help="workspace of the run, empty or new; it is kept"),
    Option("--keep", action="store_true", help="keep the temporary folder, with the code and the workspace"),
    JSON,
)
def reproduce(options: Namespace) -> int:
    from components.registry.client import Registry
    from pipeline.model_comparison import find
    from pipeline.reproduce import recorded, reproduction

    with failures_printed(options.json):
        check_name(options.name)
        workspace = home()
        registry = Registry(workspace.tracking_uri)
        if options.threads is not None and options.threads < 1:
            raise ConfigError(f"--threads is {options.threads}; expected at least 1, or leave it out: as many as then")
        name = options.name or only(registry.names())
        known = recorded.read(registry, find(registry, name, options.version))
        with _folder(keep=options.keep) as folder:
            place = _workspace(options.home) or folder / "home"
            request = reproduction.Request(
                known, workspace, registry, folder, place, options.source, options.threads or 0, options.keep
            )
            with reproduction.prepared(request, dry=options.check) as run:
                if options.check:
                    return _print_check(request, as_json=options.json)
                result = reproduction.reproduce(request, run)
    _print(result, request, as_json=options.json)
    return result.exit_status


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    """A folder for code, packages and results, which goes when the block ends unless it is kept."""
    folder = Path(tempfile.mkdtemp(prefix="reproduce-"))
    try:
        yield folder
    finally:
        if keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _workspace(text: str) -> Path | None:
    """The workspace that the user names; raises ConfigError where something is in it, which a run would reuse."""
    if not text:
        return None
    folder = Path(expanded(text)).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"--home is {folder}, which is not empty: what is there would be reused; give a new folder")
    return folder


def _print_check(request: "Request", *, as_json: bool) -> int:
    from pipeline.reproduce.reproduction import expected

    differing = expected(request)
    grade = "equivalent" if differing else "exact"
    if as_json:
        print_json({**_about(request), "possible": True, "grade": grade, "machine": differing})
    elif differing:
        answer(f"{request.recorded.title} can be made again, with other bytes: {'; '.join(differing)}")
    else:
        answer(f"{request.recorded.title} can be made again, bit for bit")
    return 0


def _print(result: "Result", request: "Request", *, as_json: bool) -> None:
    if as_json:
        alike = result.alike
        print_json(
            {
                **_about(request),
                "grade": result.grade,
                "sentence": str(result),
                "stages": {stage: asdict(compared) for stage, compared in result.stages.items()},
                "machine": result.machines,
                "alike": {"same": alike.same, "seeds": alike.seeds, **asdict(alike.comparison)} if alike else None,
                "ended_by": result.error,
            }
        )
        return
    grade = {"none": "not reproduced"}.get(result.grade, result.grade)
    predictions, spread = (str(result.alike), result.alike.spread) if result.alike else ("", "")
    print_facts([("result", grade), ("", str(result)), ("predictions", predictions), ("seeds", spread)])


def _about(request: "Request") -> dict[str, object]:
    version = request.recorded.version
    return {"name": version.name, "version": version.version, "commit": request.recorded.commit}
