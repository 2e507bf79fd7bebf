"""The code of a version: a git worktree of its commit, with the changes that it had, and a user's own networks."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from components.errors import ConfigError
from components.formatting import size
from components.system.files import sha256_of_file
from components.system.source_code import source_file
from pipeline.repository import ABSOLUTE, GitFailed, git, is_checkout, is_writable, refusal
from pipeline.reproduce.recorded import Recorded

SHOWN = 12  # characters of a commit


def problem(recorded: Recorded) -> str:
    """Why the code of the version cannot be had here, "" where it can."""
    commit = recorded.commit[:SHOWN]
    if not recorded.commit:
        return f"{recorded.title} names no commit: it was made outside a git checkout; set PIPELINE_COMMIT there"
    if reason := refusal():
        return reason
    if not is_checkout():
        return f"the code here is no git checkout; run this in a clone that has commit {commit}"
    try:
        git("cat-file", "-e", f"{recorded.commit}^{{commit}}")
    except GitFailed:
        return f"commit {commit} is gone from this repository; fetch it (git fetch origin {recorded.commit})"
    if recorded.changes is None:
        large = recorded.changes_too_large
        why = f"were not kept: {size(large)} are too much" if large else "are gone from its files"
        return f"{recorded.title} was made from commit {commit} with changes to the code that {why}"
    return ""


@contextmanager
def worktree(recorded: Recorded, folder: Path, *, keep: bool = False) -> Iterator[Path]:
    """The code in *folder*, which goes when the block ends unless it is to be kept.

    Raises ConfigError where git cannot make it.
    """
    with suppress(GitFailed):  # those of processes that were killed
        git("worktree", "prune")
    try:
        _check_out(recorded.commit, folder)
        if recorded.changes:
            git("apply", "--whitespace=nowarn", "-", folder=folder, given=recorded.changes)
        yield folder
    except GitFailed as error:
        raise ConfigError(f"the code of {recorded.title} cannot be checked out: {error}") from error
    finally:
        with suppress(GitFailed):  # the folder is temporary, and the next one prunes the repository
            if not keep:
                git("worktree", "remove", "--force", "--force", str(folder))


def _check_out(commit: str, folder: Path) -> None:
    """Make the worktree, or where the repository is only to be read, a new one that takes its objects from there."""
    if is_writable():
        git("worktree", "add", "--detach", "--quiet", str(folder), commit)
        return
    folder.mkdir()
    git("init", "--quiet", folder=folder)
    (folder / ".git/objects/info/alternates").write_bytes(git("rev-parse", ABSOLUTE, "--git-path", "objects"))
    git("checkout", "--detach", "--quiet", commit, folder=folder)


def networks(recorded: Recorded, code: Path, folder: Path) -> list[str]:
    """Copy the files of a user's networks that are not in *code* to *folder*; a sentence for each that is gone."""
    return list(_missing_networks(recorded, code, folder))


def _missing_networks(recorded: Recorded, code: Path, folder: Path) -> Iterator[str]:
    for module, sha256 in recorded.networks.items():
        places = [Path(*module.split(".")).with_suffix(".py"), Path(*module.split("."), "__init__.py")]
        if any(_is(code / place, sha256) for place in places):
            continue
        file = source_file(module)
        if file is None or not _is(file, sha256):
            what = "is gone" if file is None else f"({file}) was changed since"
            yield f"the network {module} of {recorded.title} {what}; expected a file with sha256 {sha256[:16]}..."
            continue
        place = folder / places[file.name == "__init__.py"]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())


def _is(file: Path, sha256: str) -> bool:
    return file.is_file() and sha256_of_file(file) == sha256
