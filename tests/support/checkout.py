"""A clone of this repository with the code as it stands here, committed: what `git clone` gives on another machine."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
AUTHOR = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def clone(folder: Path) -> Path:
    """Clone the repository into *folder*; changes here that are no commit yet are one there."""
    git(ROOT, "clone", "--quiet", "--local", str(ROOT), str(folder))
    for name in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0"):
        source, place = ROOT / name, folder / name
        if not source.exists():
            place.unlink(missing_ok=True)
        elif source.is_file() and name:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, place)
    commit(folder, "as it stands")
    return folder


def commit(folder: Path, message: str) -> str:
    """Commit everything in *folder*; the commit's name."""
    git(folder, "add", "--all")
    git(folder, *AUTHOR, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD").strip()
