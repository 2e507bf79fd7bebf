"""Artifacts on disk: a directory that exists is complete, and it never changes.

    artifacts/
      .briefs.msgpack            what the manifests say, each parsed once (pipeline/known_files.py)
      .leases/                   what live processes use (pipeline/store/leases.py)
      train/
        .draft-5f0c...-M-k3v9/   filled by a process of machine M, or left by a killed one: never read, swept later
        5f0c2d9a41b7e836/        named by the key: the hash of the recipe
          manifest.json          {recipe, files: {name: sha256}, digest, facts, made, checksum}; written last
          model.keras ...        the files

Publication fills a sibling draft, flushes every file, writes the manifest, flushes, and renames the draft into its
place: POSIX rename is atomic, so a reader sees all or nothing. Where two makers race, the first rename wins and the
second maker's work is dropped in favour of it.
"""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from components.errors import ArtifactCorrupt, Failure, StorageFailed
from components.system import held_folders
from components.system.files import flush
from components.system.stat_cache import StatCache
from pipeline.graph import Facts
from pipeline.store.artifact import (
    CHANGED,
    MANIFEST,
    MISSING,
    Artifact,
    Brief,
    Made,
    Manifest,
    corrupt,
    difference,
    digest_of,
    files_of,
    hash_files,
    manifest_text,
    read_manifest,
)
from pipeline.store.disk_errors import UNCLEAN, storage_errors
from pipeline.store.leases import MACHINE, Item, Leases, is_elsewhere
from pipeline.store.names import is_artifact, strange, unsafe
from pipeline.store.recipe import Recipe
from pipeline.store.recipe import key as recipe_key

DRAFT = ".draft-"
IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)  # how a rename fails where its target exists
LOST = (errno.EIO, errno.ENOENT, errno.EBADMSG, UNCLEAN)  # read errors of a disk, and damaged file systems
REMOVERS = 8  # threads
SMALL = 2**16  # bytes: cheaper to hash each time than to be wrong about


class Store:
    """The artifacts below a folder. Another medium implements the same five operations: get, draft and publish, list,
    verify, delete."""

    withdrawn_at_once = 100  # artifacts, while no process can lease any

    def __init__(self, root: Path) -> None:
        self.root = root
        self.leases = Leases(root / ".leases")

    def path(self, stage: str, key: str) -> Path:
        return self.root / stage / key

    def get(self, stage: str, key: str, *, files: bool = True) -> Artifact | None:
        """The artifact, or None where it was never published; raises ArtifactCorrupt where its manifest is damaged.

        With *files* false only the manifest is wanted, and the files need not be on this machine; else this process
        leases them.
        """
        path = self.path(stage, key)
        try:
            if not is_artifact(stage, key) or not path.exists():
                return None
            if files:
                self.leases.take(stage, key)
            return _artifact(stage, key, path)
        except FileNotFoundError:
            if not path.exists():
                return None
            raise ArtifactCorrupt(corrupt(path / MANIFEST, MISSING, stage)) from None
        except (ValueError, TypeError, LookupError):
            raise ArtifactCorrupt(corrupt(path / MANIFEST, CHANGED, stage)) from None
        except (NotADirectoryError, IsADirectoryError):
            raise ArtifactCorrupt(corrupt(path, "is no folder any more", stage)) from None
        except OSError as error:
            raise unreadable(error, path / MANIFEST, stage) from error

    @contextlib.contextmanager
    def draft(self, stage: str, key: str) -> Iterator[Path]:
        """An empty folder to fill, locked while this process lives and removed unless it was published."""
        with storage_errors(self.root):
            folder = self.root / stage
            folder.mkdir(parents=True, exist_ok=True)
            self.leases.take(stage, key)
            path, lock = held_folders.new(folder, _prefix(key))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)

    def publish(self, draft: Path, recipe: Recipe, facts: Facts, made: Made, *, replace: bool = False) -> Artifact:
        """Make *draft* the artifact of *recipe*; where another process was first, its artifact stays and is returned.

        *facts* and *made* go into the manifest, outside the digest. *replace* puts the draft in the place of an
        artifact that is damaged, or whose stage is forced to run again; an intact one with the same files keeps them.
        """
        stage, name = recipe["stage"], recipe_key(recipe)
        files = hash_files(draft)
        manifest: Manifest = {
            "recipe": recipe,
            "files": files,
            "digest": digest_of(files),
            "facts": facts,
            "made": made,
        }
        with storage_errors(self.root):
            (draft / MANIFEST).write_text(manifest_text(manifest))
            for folder, _, names in os.walk(draft):
                for file in (folder, *(os.path.join(folder, n) for n in names)):  # noqa: PTH118 (70,000 files: no Path each)
                    flush(file)
            draft.chmod(0o755)  # mkdtemp made it private
            if replace and self._holds(stage, name, manifest["digest"]):
                (draft / MANIFEST).replace(self.path(stage, name) / MANIFEST)  # readers keep their files
                flush(self.path(stage, name))
            else:
                self._rename(draft, self.path(stage, name), replace)
        published = Store.get(self, stage, name)
        if published is None:
            raise StorageFailed(f"{self.path(stage, name)} vanished while it was published; run it again")
        return published

    def _holds(self, stage: str, key: str, digest: str) -> bool:
        """Whether the artifact is there with this *digest*, every byte of it."""
        with contextlib.suppress(ArtifactCorrupt, StorageFailed):
            present = Store.get(self, stage, key)
            if present and present.digest == digest:
                Store.verify(self, present)
                return True
        return False

    def _rename(self, draft: Path, target: Path, replace: bool) -> None:
        while True:  # rename does not replace a folder that has content, so the old one is renamed first
            try:
                draft.rename(target)
                break
            except OSError as error:
                if error.errno not in IN_THE_WAY:
                    raise
            if not replace:
                break
            _discard(_set_aside(target))
        flush(target.parent)

    def list(self) -> Iterator[tuple[str, str]]:
        """(stage, key) of everything published."""
        for stage in _folders_in(self.root):
            yield from ((stage, key) for key in _folders_in(self.root / stage) if is_artifact(stage, key))

    def briefs(self) -> dict[tuple[str, str], Brief]:
        """What the manifests say, by (stage, key), without those that are damaged.

        A manifest that keeps its size, times and inode is not parsed again.
        """
        from pipeline.known_files import KnownFiles  # which a run with nothing to do does not load

        known, briefs = KnownFiles(self.root / ".briefs.msgpack", Brief), dict[tuple[str, str], Brief]()
        for stage, key in self.list():
            name, read = f"{stage}/{key}", partial(self._brief, stage, key)
            with contextlib.suppress(ArtifactCorrupt):
                try:
                    brief = known.get(name, f"{self.root}/{name}/{MANIFEST}", read)
                except OSError:
                    brief = read()  # says what is wrong
                if brief:
                    briefs[stage, key] = brief
        known.keep()
        return briefs

    def _brief(self, stage: str, key: str) -> Brief | None:
        artifact = Store.get(self, stage, key, files=False)
        return Brief.of(artifact) if artifact else None

    def glance(self, stage: str, key: str, brief: Brief, cache: Path) -> bool:
        """Whether an artifact looks as it was published, by the names and statuses of its files: none is read.

        A file whose hash was computed under another status (`check`) does not, nor one that was written after the
        manifest, which is the last.
        """
        path = self.path(stage, key)
        try:
            present, published = dict(files_of(path)), (path / MANIFEST).stat().st_mtime_ns
        except OSError:
            return False
        known = StatCache(_statuses(cache, stage, key))
        changed = any(
            known.get(name, status) is None and (known.knows(name) or status.st_mtime_ns > published)
            for name, status in present.items()
        )
        return not changed and difference(dict.fromkeys(brief.files, ""), present) is None

    def check(self, artifact: Artifact, cache: Path) -> None:
        """Raise ArtifactCorrupt that names the first file that is not as it was published, as far as `stat` shows it.

        A file that keeps the status under which its hash was computed is trusted, unless it is SMALL: then it is read
        again, as what checks judge is small. The statuses are kept in the folder *cache*.
        """
        statuses = self._present(artifact)
        known = StatCache(_statuses(cache, artifact.stage, artifact.key))
        read = self._hashed(
            artifact,
            [
                name
                for name, status in statuses.items()
                if status.st_size <= SMALL or known.get(name, status) != artifact.files[name]
            ],
        )
        self._compare(artifact, read)
        with contextlib.suppress(OSError):  # a full or read-only disk: they are read again the next time
            known.update(statuses, read)

    def verify(self, artifact: Artifact) -> None:
        """Read every byte; raises ArtifactCorrupt that names the first file that is not as it was published."""
        self._compare(artifact, self._hashed(artifact, self._present(artifact)))

    @staticmethod
    def _present(artifact: Artifact) -> dict[str, os.stat_result]:
        """The status of each published file of *artifact*; raises ArtifactCorrupt where the files differ."""
        try:
            present = dict(files_of(artifact.path))
        except OSError as error:
            raise unreadable(error, artifact.path, artifact.stage) from error
        if found := difference(artifact.files, present):
            name, happened = found
            raise ArtifactCorrupt(corrupt(artifact.path / name, happened, artifact.stage))
        return {name: present[name] for name in artifact.files}

    @staticmethod
    def _hashed(artifact: Artifact, names: Iterable[str]) -> dict[str, str]:
        try:
            return hash_files(artifact.path, names)
        except OSError as error:
            raise unreadable(error, artifact.path, artifact.stage) from error

    @staticmethod
    def _compare(artifact: Artifact, hashes: dict[str, str]) -> None:
        for name in sorted(hashes):
            if hashes[name] != artifact.files[name]:
                raise ArtifactCorrupt(corrupt(artifact.path / name, CHANGED, artifact.stage))

    def delete(self, stage: str, key: str) -> bool:
        """Remove an artifact: it is renamed first, so that no reader sees half of it.

        False where another live process leases it, and it stays.
        """
        return bool(self.delete_all([(stage, key)]))

    def delete_all(self, items: Sequence[Item]) -> Sequence[Item]:
        """Remove artifacts in the same way; returns those that are gone.

        File systems take longer to remove a folder than all else here, and several at once.
        """
        deleted, removals = [], []
        with ThreadPoolExecutor(REMOVERS) as threads:
            for start in range(0, len(items), self.withdrawn_at_once):
                with self.leases.withdrawing_all(items[start : start + self.withdrawn_at_once]) as free:
                    aside = [self._withdraw(*item) for item in free]
                deleted += free
                removals.append(threads.submit(_discard_all, aside))
        for removal in removals:
            removal.result()
        return deleted

    def _withdraw(self, stage: str, key: str) -> Path | None:
        """Take an artifact out of its place; returns where it is now, for it to be removed."""
        return _set_aside(self.path(stage, key))

    def is_young(self, stage: str, key: str) -> bool:
        """Whether a run that is unknown to this workspace may need it."""
        return False

    def sweep_uploads(self) -> int:
        """Remove unfinished uploads of killed processes from a shared medium; returns how many."""
        return 0

    def sweep(self) -> int:
        """Remove the drafts that killed processes left; returns how many. A live process holds a lock on its draft."""
        self.leases.sweep()
        drafts = self.root.glob(f"*/{DRAFT}*")
        return sum(_sweep(path) for path in drafts if not _is_elsewhere(path))


def _folders_in(folder: Path) -> list[str]:
    """Their names, in order; those that begin with a dot are none of a stage or an artifact."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _statuses(cache: Path, stage: str, key: str) -> Path:
    """The file that remembers under which statuses the files of an artifact were hashed."""
    return cache / "artifacts" / f"{stage}-{key}.json"


def unreadable(error: OSError, path: Path, stage: str) -> Failure:
    """An artifact whose file cannot be read: damage where the disk has lost it, else what the workspace must allow."""
    if error.errno in LOST:
        return ArtifactCorrupt(corrupt(error.filename or path, f"can no longer be read ({error.strerror})", stage))
    return StorageFailed(
        f"{error.filename or path} cannot be read ({error.strerror}); make the workspace readable for this user, "
        "and run it again"
    )


def _prefix(key: str) -> str:
    """The start of the name of a draft: the key, and the machine that fills it."""
    return f"{DRAFT}{key}-{MACHINE}-"


def _is_elsewhere(draft: Path) -> bool:
    """Whether another machine may still fill *draft*."""
    return is_elsewhere(draft, MACHINE if f"-{MACHINE}-" in draft.name else "")


def _set_aside(path: Path) -> Path | None:
    """Rename *path* to the name of a draft, under which a sweep finds it; None where it is gone."""
    aside = path.with_name(_prefix(path.name) + secrets.token_hex(4))
    try:
        return path.rename(aside)
    except FileNotFoundError:
        return None


def _discard(aside: Path | None) -> None:
    if aside is None:
        return
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside, ignore_errors=True)
    else:  # a link to an artifact that is kept on another disk, or damage
        aside.unlink(missing_ok=True)


def _discard_all(aside: Iterable[Path | None]) -> None:
    for path in aside:
        _discard(path)


def _artifact(stage: str, key: str, path: Path) -> Artifact:
    """The artifact in *path*; raises ValueError where its manifest is that of another one or not what was written.

    Raises ArtifactCorrupt where the manifest names what is no file of an artifact.
    """
    manifest = read_manifest((path / MANIFEST).read_bytes())
    if (manifest["recipe"]["stage"], recipe_key(manifest["recipe"])) != (stage, key):
        raise ValueError("the manifest of another artifact")
    if name := unsafe(manifest["files"]):
        raise ArtifactCorrupt(corrupt(path / MANIFEST, strange(name), stage))
    return Artifact(stage=stage, key=key, path=path, **manifest)


def _sweep(draft: Path) -> bool:
    """Remove *draft* where no process holds its lock; returns whether that was so."""
    with held_folders.left(draft) as is_left:
        if is_left:
            _discard(draft)
    return is_left
