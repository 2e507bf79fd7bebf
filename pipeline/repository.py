"""The git repository of the code that runs: its commit, and what the files differ in from it."""

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from components.system.source_code import is_installed

ROOT = Path(__file__).parents[1]
LOCK = "requirements.lock"
CODE = ("components", "pipeline")  # where a file that git does not know yet is code that runs
ABSOLUTE = "--path-format=absolute"  # of a path that `git rev-parse` prints
SECONDS = 60.0  # a repository on a slow disk
FOREIGN = re.compile(r"dubious ownership.*--add (safe\.directory \S[^\n]*)", re.DOTALL)  # as git prints it


class GitFailed(Exception):
    """Not for users: git is missing, or did not do what it was asked; the text is what it printed."""


def git(
    *arguments: str, folder: Path = ROOT, environment: Mapping[str, str] | None = None, given: bytes = b""
) -> bytes:
    """What `git ARGUMENTS` prints in *folder*; *given* is its input. Raises GitFailed."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            input=given,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise GitFailed(str(error)) from error
    if done.returncode:
        raise GitFailed(done.stderr.decode(errors="replace").strip())
    return done.stdout


def is_checkout(folder: Path = ROOT) -> bool:
    """Whether the code in *folder* lies in a git repository of its own."""
    if is_installed(folder / "pipeline"):
        return False
    try:
        return Path(git("rev-parse", "--show-toplevel", folder=folder).decode().strip()).resolve() == folder.resolve()
    except GitFailed:
        return False


def refusal(folder: Path = ROOT) -> str:
    """Why git reads no repository in *folder* although there is one, as a sentence: another user's; "" otherwise."""
    if is_installed(folder / "pipeline"):
        return ""
    try:
        git("rev-parse", "--git-dir", folder=folder)
    except GitFailed as error:
        if known := FOREIGN.search(str(error)):
            return (
                f"git does not read the repository of {folder}, as it belongs to another user; clone it to a folder of "
                f"your own, or trust it: git config --global --add {known[1]}"
            )
    return ""


def is_writable(folder: Path = ROOT) -> bool:
    """Whether this user may add a worktree to the repository of *folder*. Raises GitFailed."""
    common = git("rev-parse", ABSOLUTE, "--git-common-dir", folder=folder).decode().strip()
    return os.access(common, os.W_OK)


def changes(folder: Path = ROOT) -> bytes:
    """What the files of the checkout in *folder* differ in from its commit, as `git apply` takes it. Raises GitFailed.

    With the new files in CODE that git would take. The repository stays as it is: index and objects are scratch.
    """
    objects = git("rev-parse", ABSOLUTE, "--git-path", "objects", folder=folder).decode().strip()
    with tempfile.TemporaryDirectory() as scratch:
        environment = {
            "GIT_INDEX_FILE": str(Path(scratch, "index")),
            "GIT_OBJECT_DIRECTORY": str(Path(scratch, "objects")),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
        }
        Path(scratch, "objects").mkdir()

        def run(*arguments: str) -> bytes:
            return git(*arguments, folder=folder, environment=environment)

        run("read-tree", "HEAD")
        run("add", "--update")
        run("add", "--all", "--", *(name for name in CODE if (folder / name).is_dir()))
        return run("diff", "--cached", "--binary", "--no-color", "--no-ext-diff", "HEAD")
