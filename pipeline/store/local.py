"""Artifacts on disk: a directory that exists is complete, and it never changes.

    artifacts/
      train/
        .draft-5f0c...-M-k3v9/   being filled by a process of machine M, or left by a dead one: never read, swept later
        5f0c2d9a41b7e836/        named by the key: the hash of the recipe
          manifest.json          {"recipe", "files": {name: sha256}, "digest", "facts", "made"}; written last
          model.keras ...        the files

Publication fills a sibling draft, flushes every file, writes the manifest, flushes, and renames the draft into its
place: POSIX rename is atomic, so a reader sees all or nothing. Where two makers race, the first rename wins and the
second maker's work is dropped in favour of it.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import ArtifactCorrupt, StorageFailed
from pipeline.store.recipe import Recipe, canonical, key, sha256

MANIFEST = "manifest.json"
DRAFT = ".draft-"
MACHINE = sha256(socket.gethostname())[:8]
DAYS_TO_DIE = 7  # of a draft of another machine, whose locks may not be seen here
NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.EISDIR}
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Artifact:
    """A published directory and what its manifest says of it."""

    stage: str
    key: str
    path: Path
    digest: str
    recipe: Recipe
    files: dict[str, str]
    facts: dict[str, Any]
    made: dict[str, Any]

    @property
    def bytes(self) -> int:
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


def digest_of(files: dict[str, str]) -> str:
    """One hash for the names and bytes of *files* (name -> sha256)."""
    return sha256(canonical(files))


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(folder: Path) -> dict[str, str]:
    """Name -> sha256 of every file below *folder*, the manifest left out."""
    paths = sorted(p for p in folder.rglob("*") if not p.is_dir() and p.relative_to(folder) != Path(MANIFEST))
    with ThreadPoolExecutor() as pool:  # hashing lets go of the interpreter's lock
        return dict(zip((p.relative_to(folder).as_posix() for p in paths), pool.map(hash_file, paths), strict=True))


class Store:
    """The artifacts below one folder. Five operations, so that another medium can take its place:
    get, draft + publish, list, verify, delete."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, stage: str, key: str) -> Path:
        return self.root / stage / key

    def look(self, stage: str, key: str) -> Artifact | None:
        """As `get`, for those who want what the manifest says and not the files."""
        return self.get(stage, key)

    def get(self, stage: str, key: str) -> Artifact | None:
        """The artifact, or None where it was never published; raises ArtifactCorrupt where its manifest is damaged."""
        return self._read(stage, key)

    def _read(self, stage: str, key: str) -> Artifact | None:
        path = self.path(stage, key)
        try:
            manifest = json.loads((path / MANIFEST).read_bytes())
            return Artifact(stage=stage, key=key, path=path, **manifest)
        except FileNotFoundError:
            if not path.exists():
                return None
            raise ArtifactCorrupt(corrupt(path / MANIFEST, "is missing", stage)) from None
        except (ValueError, TypeError):
            raise ArtifactCorrupt(corrupt(path / MANIFEST, "is not what was written", stage)) from None

    @contextlib.contextmanager
    def draft(self, stage: str, key: str) -> Iterator[Path]:
        """An empty folder to fill, locked while this process lives and removed unless it was published."""
        with storage_errors(self.root):
            folder = self.root / stage
            folder.mkdir(parents=True, exist_ok=True)
            path, lock = self._locked(folder, _prefix(key))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)

    @staticmethod
    def _locked(folder: Path, prefix: str) -> tuple[Path, int]:
        """A new folder and the handle that holds its lock; tried again where a sweep came between the two."""
        while True:
            path = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
            lock = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.exists():
                    return path, lock
            except BlockingIOError:
                ...  # a sweep holds it: it is on its way out
            os.close(lock)

    def publish(
        self, draft: Path, recipe: Recipe, facts: dict[str, Any], made: dict[str, Any], *, replace: bool = False
    ) -> Artifact:
        """Make *draft* the artifact of *recipe*; where one was published meanwhile, that one stays and is returned.

        *facts* and *made* (what cannot be made again: times, the run) go into the manifest, outside the digest.
        *replace* puts the draft in the place of an artifact that is damaged or was asked for anew.
        """
        stage, name = recipe["stage"], key(recipe)
        files = hash_files(draft)
        manifest = {
            "recipe": recipe,
            "files": files,
            "digest": digest_of(files),
            "facts": facts,
            "made": made,
        }
        with storage_errors(self.root):
            text = json.dumps(manifest, indent=2, sort_keys=True, allow_nan=False)
            (draft / MANIFEST).write_text(text + "\n")
            for folder, _, names in os.walk(draft):
                for file in (folder, *(os.path.join(folder, n) for n in names)):  # noqa: PTH118 (70,000 files: no Path each)
                    flush(file)
            draft.chmod(0o755)  # mkdtemp made it private
            self._rename(draft, self.path(stage, name), replace)
        published = self._read(stage, name)
        if published is None:
            raise StorageFailed(f"{self.path(stage, name)} vanished while it was published; run it again")
        return published

    def _rename(self, draft: Path, target: Path, replace: bool) -> None:
        if replace and target.exists():
            # rename cannot put a directory in the place of a full one; the old one steps aside under a draft's name
            aside = Path(tempfile.mkdtemp(prefix=_prefix(target.name), dir=target.parent))
            target.rename(aside)
            draft.rename(target)
            shutil.rmtree(aside, ignore_errors=True)
        else:
            try:
                draft.rename(target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        flush(target.parent)

    def list(self) -> Iterator[tuple[str, str]]:
        """(stage, key) of everything published."""
        for folder in sorted(self.root.glob("*/*")):
            if not folder.name.startswith(".") and folder.is_dir():
                yield folder.parent.name, folder.name

    def verify(self, artifact: Artifact) -> None:
        """Read every byte; raises ArtifactCorrupt that names the first file that is not as it was published."""
        found = hash_files(artifact.path)
        for name in sorted(found.keys() | artifact.files.keys()):
            if found.get(name) != artifact.files.get(name):
                happened = (
                    "is missing" if name not in found else "was added" if name not in artifact.files else "was changed"
                )
                raise ArtifactCorrupt(corrupt(artifact.path / name, happened, artifact.stage))
        if digest_of(artifact.files) != artifact.digest or key(artifact.recipe) != artifact.key:
            raise ArtifactCorrupt(corrupt(artifact.path / MANIFEST, "was changed", artifact.stage))

    def delete(self, stage: str, key: str) -> None:
        """Remove an artifact: it leaves its name in one step, so nobody sees half of it."""
        path = self.path(stage, key)
        if path.exists():
            aside = Path(tempfile.mkdtemp(prefix=_prefix(key), dir=path.parent))
            with contextlib.suppress(FileNotFoundError):
                path.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)

    def is_young(self, stage: str, key: str) -> bool:
        """Whether a run that this home knows nothing of may need it."""
        return False

    def sweep_uploads(self) -> int:
        """Remove what dead makers left on a medium that machines share; returns how many."""
        return 0

    def sweep(self) -> int:
        """Remove the drafts that dead processes left; returns how many. A live maker holds a lock on its own."""
        drafts = self.root.glob(f"*/{DRAFT}*")
        return sum(_sweep(path) for path in drafts if not _is_elsewhere(path))


def _prefix(key: str) -> str:
    """How the name of a draft begins: with it goes the machine that fills it."""
    return f"{DRAFT}{key}-{MACHINE}-"


def _is_elsewhere(draft: Path) -> bool:
    """Whether another machine may still fill *draft*: a file system need not carry its lock to this one."""
    if f"-{MACHINE}-" in draft.name:
        return False
    with contextlib.suppress(FileNotFoundError):  # published or removed since it was listed
        return time.time() - draft.stat().st_mtime < DAYS_TO_DIE * 86_400
    return True


def _sweep(draft: Path) -> bool:
    """Remove *draft* where no process holds its lock; returns whether that was so."""
    try:
        lock = os.open(draft, os.O_RDONLY)
    except FileNotFoundError:  # published or removed since it was listed
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(draft, ignore_errors=True)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(lock)


def corrupt(path: Path | str, happened: str, stage: str) -> str:
    return f"{path} {happened} since it was published; run 'python -m pipeline stage {stage}' to make it again"


def flush(path: str | Path) -> None:
    """Have the disk hold *path*, file or folder, before anything that relies on it is written."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def storage_errors(root: Path) -> Iterator[None]:
    """Turn a full or unwritable disk into a StorageFailed that names the folder and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL or _cut_off(error) or (error.errno not in NOT_WRITABLE and _is_full(root)):
            raise StorageFailed(
                f"the disk of {root} is full; free some space (python -m pipeline gc) or set PIPELINE_HOME to another "
                "disk, then run it again: what was finished is kept"
            ) from error
        if error.errno in NOT_WRITABLE:
            raise StorageFailed(
                f"cannot write to {error.filename or root} ({error.strerror}); "
                "make it writable or set PIPELINE_HOME to a folder that is"
            ) from error
        raise


def _cut_off(error: OSError) -> bool:
    """Whether NumPy wrote less than it had to: it says so without a number, also where a quota ends before the disk."""
    return error.errno is None and str(error).endswith("written")


def _is_full(root: Path) -> bool:
    return any(shutil.disk_usage(p).free < 2**20 for p in (root, *root.parents) if p.exists())
