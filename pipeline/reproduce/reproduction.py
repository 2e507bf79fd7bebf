"""Make a version again: code, packages, settings and images as they were, in a workspace of its own, and compare.

FOLDER/             temporary, unless it is kept
  code/             a git worktree of the version's commit, with the changes that it had
  environment/      its packages, where those that are installed here are others
  networks/         a user's own networks that are not in the repository
  settings.toml     the recorded settings
  corrections.jsonl the recorded corrections of labels
  caches/           hashes of images and model files, where this user may not write to the workspace of the version
  home/             the workspace of the run, unless --home names another
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components.errors import ConfigError, DataRejected, SourceError, SourceUnreachable
from components.progress import say
from components.registry.client import Registry
from components.system.environment import environment
from components.system.gpu import gpus, named
from pipeline.home import Home
from pipeline.reproduce import code, comparison, inputs, machine, packages, rebuild
from pipeline.reproduce.comparison import Result, compared
from pipeline.reproduce.machine import Computing
from pipeline.reproduce.rebuild import Run
from pipeline.reproduce.recorded import Recorded
from pipeline.reproduce.settings import settings, write
from pipeline.store.artifact import Artifact


@dataclass(frozen=True)
class Request:
    """What is made again, and where: *source* and *threads* replace those of the version where they are given.

    With *keep* the code stays in *folder*.
    """

    recorded: Recorded
    home: Home
    registry: Registry
    folder: Path
    workspace: Path
    source: str = ""
    threads: int = 0
    keep: bool = False

    @property
    def caches(self) -> Home:
        """The workspace of the version, or another where this user may not write there."""
        return inputs.writable(self.home, Home(self.folder / "caches"))


@contextmanager
def prepared(request: Request, *, dry: bool = False) -> Iterator[Run]:
    """The run that makes the version again, with everything that it takes in its place; *dry* installs no package.

    Raises ConfigError with everything that is gone, DataRejected where only the images are others, and
    Unavailable where images or packages cannot be had now.
    """
    recorded, folder = request.recorded, request.folder
    values = settings(recorded, request.source, request.threads)
    _require_inputs(request, values)
    with ExitStack() as stack:
        checkout = stack.enter_context(code.worktree(recorded, folder / "code", keep=request.keep))
        problems = [packages.problem(recorded, checkout), *code.networks(recorded, checkout, folder / "networks")]
        if any(problems):
            raise ConfigError(*filter(None, problems))
        python = packages.interpreter(recorded, checkout, folder / "environment", dry=dry)
        request.workspace.mkdir(parents=True, exist_ok=True)
        values |= inputs.models(recorded, request.caches, request.registry, request.workspace)
        if recorded.corrections:
            (folder / "corrections.jsonl").write_bytes(recorded.corrections)
            values["ingest.corrections"] = str(folder / "corrections.jsonl")
        write(folder / "settings.toml", values)
        variables = rebuild.variables(recorded)
        yield Run(python, checkout, folder / "settings.toml", Home(request.workspace), folder / "networks", variables)


def _require_inputs(request: Request, values: Mapping[str, Any]) -> None:
    """Raise ConfigError with everything that is gone.

    Where that is nothing: SourceUnreachable where the images cannot be had now, DataRejected where they are others.
    """
    recorded = request.recorded
    gone = [text for text in (code.problem(recorded), inputs.corrections_problem(recorded)) if text]
    try:
        present = inputs.fingerprint(recorded, request.caches, values)
    except (SourceError, SourceUnreachable) as error:
        if isinstance(error, SourceUnreachable) and not gone:
            raise
        raise ConfigError(*gone, str(error)) from error
    if gone:
        raise ConfigError(*gone)
    if images := inputs.images_problem(recorded, request.home, values, present):
        raise DataRejected(images)


def expected(request: Request) -> list[str]:
    """What keeps the bytes from being the same on this machine, as sentences; [] where they will be."""
    then = request.recorded.stages["train"]
    computing = machine.computing(then.recipe)
    here = Computing(request.threads or computing.threads, named(gpus()) if gpus() else "")
    return machine.differences((computing, then.environment), (here, environment()))


def reproduce(request: Request, run: Run) -> Result:
    """Make the data first, and the model where these are the same, and compare."""
    recorded, number = request.recorded, request.recorded.version.version
    say(f"reproducing {recorded.title} from commit {recorded.commit[:12]}, in {run.home.root}")
    data = run.until("normalize")
    result = Result(number, compared(recorded, data.made), [], error=data.error, status=data.status)
    if data.status or not all(stage in result.stages and result.stages[stage].equal for stage in comparison.DATA):
        return _with_images(request, result, data.made.get("ingest"))
    whole = run.until("evaluate")
    result = Result(number, compared(recorded, whole.made), [], error=whole.error, status=whole.status)
    if "train" not in whole.made:
        return result
    result = replace(result, machines=comparison.machines(recorded, whole.made["train"]))
    if result.stages["train"].equal or "evaluate" not in whole.made:
        return result
    evaluate = inputs.original(recorded, request.home, "evaluate")
    beside = comparison.alike(recorded, request.registry, whole.made, evaluate.path if evaluate else None)
    return replace(result, alike=beside)


def _with_images(request: Request, result: Result, ingest: Artifact | None) -> Result:
    """*result* with the images that differ, where ingest came to others and those of the version are still there."""
    then = inputs.original(request.recorded, request.home, "ingest")
    if ingest is None or then is None or ingest.digest == then.digest:
        return result
    images = inputs.named(inputs.differing_images(then.path, ingest.path))
    before = result.stages["ingest"]
    return replace(result, stages={**result.stages, "ingest": replace(before, why=[images, *before.why])})
