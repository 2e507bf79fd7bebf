"""The published exports of registered versions: plain files that a program can serve, in the workspace and in MLflow.

    $PIPELINE_HOME/exports/NAME/
      3/                  what export wrote for version 3, hard links where the disk can: complete, and never changed
        model_info.json   names every other file, with its sha256
        ...
      champion -> 3       follows the alias
      .draft-M-k3v9/      filled by a process of machine M, or left by a killed one, which the next one removes

The same folder is in the artifacts of the version's logged model, as exports/, and the version's tag export.sha256 is
the sha256 of model_info.json: from the alias to each byte, everything can be verified. The tag export.key names the
artifact that was published.

A version is published before an alias moves to it, and the link follows after; each step looks for its effect first.
So whatever a process leaves that dies in between, the next run or command completes.
"""

import glob
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from components.artifact_files import MODEL_INFO, ModelInfo
from components.errors import Unavailable
from components.progress import say
from components.registry import model_files
from components.registry.client import CHAMPION, Registry
from components.registry.model_version import ModelVersion
from components.system import held_folders, locks
from components.system.files import file_name, flush, sha256_of_file

SHA256_TAG, KEY_TAG = "export.sha256", "export.key"  # of model_info.json, and of the artifact
COPY = "exports"  # the folder among the artifacts of the version's logged model
DRAFT = f".draft-{file_name(locks.MACHINE)}-"


@dataclass(frozen=True)
class Exports:
    """The exports below *root*; *made* finds the artifact of export of a version, None where it is gone."""

    root: Path
    registry: Registry
    made: Callable[[ModelVersion], Path | None]

    def folder(self, version: ModelVersion) -> Path:
        return self.root / file_name(version.name) / version.version

    def link(self, name: str) -> Path:
        return self.root / file_name(name) / CHAMPION

    def publish(self, version: ModelVersion, made: Path) -> None:
        """Publish *made*, the artifact of export of *version*, unless that has been done.

        Two machines may come to other bytes by the same recipe; what was published first stays.
        """
        _sweep(self.folder(version).parent)
        is_published = version.tags.get(KEY_TAG) == made.name and _is_logged(version) and self._restore(version)
        if not is_published:
            self._publish(version, made)

    def prepare(self, version: ModelVersion) -> None:
        """Have the folder of *version*, which becomes champion, where an export of it is left.

        A rollback may be urgent: what stands in the way is a warning, and the next run tries again.
        """
        try:
            if not self._restore(version) and (made := self.made(version)):
                self._publish(version, made)
        except (OSError, Unavailable) as error:
            say(f"  warning: the exports of version {version.version} cannot be published: {error}")

    def _publish(self, version: ModelVersion, made: Path) -> None:
        """Here, then in MLflow, then by the tags: a reader of the tags finds what they name."""
        folder, sha256 = self.folder(version), sha256_of_file(made / MODEL_INFO)
        if not is_whole(folder, sha256):
            _place(made, folder)
        say(f"  logging the exports of version {version.version} to MLflow")
        self.registry.log_files(version, folder, COPY)
        for tag, value in ((SHA256_TAG, sha256), (KEY_TAG, made.name)):
            self.registry.set_tag(version.name, version.version, tag, value)

    def _restore(self, version: ModelVersion) -> bool:
        """Whether the folder of *version* is what its tag says, made so from the store or MLflow where it was not."""
        folder, sha256 = self.folder(version), version.tags.get(SHA256_TAG, "")
        if not sha256 or is_whole(folder, sha256):
            return bool(sha256)
        if (made := self.made(version)) and is_whole(made, sha256):
            _place(made, folder)
            return True
        return self.fetch(version)

    def fetch(self, version: ModelVersion) -> bool:
        """Copy what MLflow has of *version* to its folder; False where it has nothing whole. Raises OSError."""
        folder, sha256 = self.folder(version), version.tags[SHA256_TAG]
        say(f"  fetching the exports of version {version.version} from MLflow")
        with _draft(folder.parent) as draft:
            copy = self.registry.fetch_files(version, COPY, draft)
            if copy is None or not (is_whole(copy, sha256) and _is_sound(copy)):
                return False
            _place(copy, folder)
        return True

    def follow(self, name: str) -> None:
        """Let the link point at the folder of the champion; without such a folder there is no link."""
        champion, link = self.registry.alias(name, CHAMPION), self.link(name)
        if champion is None:
            return
        _sweep(link.parent)
        if not self.folder(champion).is_dir():
            self.prepare(champion)
        if self.folder(champion).is_dir():
            _point(link, champion.version)
        elif link.is_symlink():
            say(f"  warning: version {champion.version} has no exports that can be published; {link} is removed")
            link.unlink()


def info(folder: Path) -> ModelInfo:
    """model_info.json in *folder*."""
    content: ModelInfo = json.loads((folder / MODEL_INFO).read_bytes())
    return content


def is_whole(folder: Path, sha256: str) -> bool:
    """Whether *folder* holds the export with this *sha256*, and every file of it in its size."""
    try:
        if sha256_of_file(folder / MODEL_INFO) != sha256:
            return False
        files = info(folder)["files"]
        inside = not any(Path(name).is_absolute() or ".." in Path(name).parts for name in files)
        return inside and all((folder / name).stat().st_size == file["bytes"] for name, file in files.items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _is_sound(folder: Path) -> bool:
    """Whether every byte of the files in *folder* is as model_info.json says."""
    return all(sha256_of_file(folder / name) == file["sha256"] for name, file in info(folder)["files"].items())


def target(link: Path) -> str:
    """Where *link* points; "" where it is none."""
    with suppress(OSError):
        return str(link.readlink())
    return ""


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """A folder beside those of *folder*, on the same disk, that goes when the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    draft, lock = held_folders.new(folder, DRAFT)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        os.close(lock)


def _sweep(folder: Path) -> None:
    """Remove the drafts in *folder* that killed processes of this machine left."""
    for draft in folder.glob(f"{glob.escape(DRAFT)}*"):
        with held_folders.left(draft) as is_left:
            if is_left:
                shutil.rmtree(draft, ignore_errors=True)


def _place(source: Path, folder: Path) -> None:
    """Let *folder* be what *source* is; what was there before is replaced."""
    with _draft(folder.parent) as draft:
        fresh = draft / "fresh"
        for name in (MODEL_INFO, *info(source)["files"]):
            place = fresh / name
            place.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(source / name, place)
        model_files.flush_all(fresh)
        if folder.exists():
            folder.rename(draft / "before")
        fresh.rename(folder)
    flush(folder.parent)


def link_or_copy(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except OSError:  # another disk, or one that has no hard links
        shutil.copyfile(source, place)


def _is_logged(version: ModelVersion) -> bool:
    """Whether MLflow's copy of *version* is there, as far as this machine can see it."""
    here = model_files.folder_of(version.source)
    return here is None or not here.is_dir() or is_whole(here / COPY, version.tags.get(SHA256_TAG, ""))


def _point(link: Path, to: str) -> None:
    """Switch *link* to *to* by a rename; where the disk has no links, readers follow the registry's alias alone."""
    if target(link) == to:
        return
    try:
        with _draft(link.parent) as draft:
            (draft / link.name).symlink_to(to)
            if link.is_dir() and not link.is_symlink():  # of a workspace that was copied without its links
                link.rename(draft / "before")
            (draft / link.name).replace(link)
    except OSError as error:
        files = link.parent / to
        say(f"  warning: {link} cannot be a link to {to} ({error.strerror}); the champion's files are in {files}")
