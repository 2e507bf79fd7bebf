"""A copy of the images of a bucket, kept in the cache: an object whose etag is unchanged is not fetched again.

CACHE/s3/<hash of the address>/
  etags.json     {path below the address: etag} of the objects that are here whole
  files/         the objects; of those that are no image or table of labels, the name alone
  lock           held by the process that fetches
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from components.data.pictures import picture_files
from components.data.pictures.picture_files import ignored_kind
from components.errors import DataRejected, SourceChanged, SourceError, StorageFailed
from components.formatting import size
from components.ingest.reading import labels_table
from components.ingest.reading.label_rows import leaves
from components.progress import progress
from components.system import held_folders, locks, object_store
from components.system.files import write_atomically

SETTING = "ingest.source"
AT_ONCE = 256  # objects


class Object(NamedTuple):
    etag: str
    size: int


class Bucket:
    """The objects below *url*, s3://BUCKET or s3://BUCKET/PREFIX."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._root = self.url.removeprefix("s3://")
        _, _, folder = self._root.partition("/")
        self._prefix = f"{folder}/" if folder else ""
        self._files = object_store.file_system()

    def objects(self) -> dict[str, Object]:
        """Path below the address -> object, but hidden ones; raises SourceError where there is none."""
        objects = dict[str, Object]()
        with self._answering(), progress(f"ingest: listing {self.url}:") as advance:
            for page in object_store.pages(self._files, self._root):
                objects |= {self._below(status["Key"]): _object(status) for status in page}
                advance(len(objects), "objects")
        objects = {path: wanted for path, wanted in sorted(objects.items()) if _is_wanted(path)}
        if not objects:
            raise SourceError(f"{self.url} has no objects; expected images below it: check the bucket and the prefix")
        return objects

    def _below(self, key: str) -> str:
        """The path below the address; "" for the marker of the folder itself."""
        path = key.removeprefix(self._prefix)
        return self._checked(path) if path else ""

    def _checked(self, path: str) -> str:
        """*path*, of an object; raises DataRejected where no file can have it."""
        if leaves(path) or not all(path.removesuffix("/").split("/")):
            raise DataRejected(f"{self.url}/{path} has a name that no file can have; rename or remove it")
        return path

    def fetch(self, objects: Mapping[str, Object], folder: Path) -> None:
        """Make *folder*/files the copy of *objects*."""
        while not held_folders.hold(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "lock", f"the download of {self.url}"):
            here = _here(folder, objects)
            _remove_others(folder / "files", objects)
            missing = {path: wanted for path, wanted in objects.items() if here.get(path) != wanted.etag}
            self._fetch(missing, folder, here)

    def _fetch(self, missing: Mapping[str, Object], folder: Path, here: dict[str, str]) -> None:
        contents = [path for path in missing if _is_content(path, missing[path])]
        _require_space(sum(missing[path].size for path in contents), folder)
        for path in missing.keys() - set(contents):
            _name_alone(_place(folder, path), missing[path])
        with progress(f"ingest: fetching {self.url}", len(contents)) as advance:
            for start in range(0, len(contents), AT_ONCE):
                batch = contents[start : start + AT_ONCE]
                self._download(batch, missing, folder)
                here |= {path: missing[path].etag for path in batch}
                write_atomically(folder / "etags.json", json.dumps(here, separators=(",", ":")))
                advance(start + len(batch))

    def _download(self, batch: list[str], objects: Mapping[str, Object], folder: Path) -> None:
        drafts = {path: _place(folder, path).with_suffix(".fetching") for path in batch}
        with self._answering():
            self._files.get([f"{self._root}/{path}" for path in drafts], [str(draft) for draft in drafts.values()])
        for path, draft in drafts.items():
            if not draft.exists() or draft.stat().st_size != objects[path].size:
                raise SourceChanged(f"{self.url}/{path} changed while it was being read; run it again")
            draft.replace(_place(folder, path))

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Raise what the server or the network refuses as a failure that names the address."""
        try:
            with object_store.announced(self.url):
                yield
        except FileNotFoundError as error:
            missing = SourceChanged(f"{self.url} changed while it was being read; run it again")
            raise object_store.failure(error, self.url, SETTING) or missing from None
        except Exception as error:
            if failure := object_store.failure(error, self.url, SETTING):
                raise failure from error
            raise


def folder_of(url: str, cache: Path) -> Path:
    return cache / "s3" / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]


def _object(status: Mapping[str, Any]) -> Object:
    return Object(str(status.get("ETag", "")).strip('"'), int(status.get("Size") or 0))


def _is_wanted(path: str) -> bool:
    """Whether *path* is a file of the user's, and no marker of a folder."""
    return bool(path) and not path.endswith("/") and not any(map(ignored_kind, path.split("/")))


def is_read(path: str) -> bool:
    """Whether *path* is an image or a table of labels; any other file is named in the summary at most."""
    return path.lower().endswith((*picture_files.SUFFIXES, *labels_table.SUFFIXES))


def _is_content(path: str, wanted: Object) -> bool:
    """Whether the content is needed: that of images which are not too large, and of tables of labels."""
    is_image = path.lower().endswith(picture_files.SUFFIXES)
    return is_read(path) and not (is_image and wanted.size > picture_files.MAX_BYTES)


def _name_alone(path: Path, wanted: Object) -> None:
    """An empty file; that of an image which is too large has its size, without taking any space."""
    path.touch()
    if path.name.lower().endswith(picture_files.SUFFIXES):
        os.truncate(path, wanted.size)


def _place(folder: Path, path: str) -> Path:
    place = folder / "files" / path
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _here(folder: Path, objects: Mapping[str, Object]) -> dict[str, str]:
    """The etags of those of *objects* that are here whole."""
    try:
        etags = json.loads((folder / "etags.json").read_bytes())
    except (OSError, ValueError):
        return {}
    known = {path: etag for path, etag in etags.items() if path in objects} if isinstance(etags, dict) else {}
    return {path: etag for path, etag in known.items() if _size(folder / "files" / path) == objects[path].size}


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _remove_others(folder: Path, objects: Mapping[str, Object]) -> None:
    """Remove the files below *folder* that are none of *objects*, and folders without a file."""
    for place, folders, files in os.walk(folder, topdown=False):
        for name in files:
            path = Path(place, name)
            if path.relative_to(folder).as_posix() not in objects:
                path.unlink()
        for name in folders:
            with contextlib.suppress(OSError):  # it still holds something
                Path(place, name).rmdir()


def _require_space(needed: int, folder: Path) -> None:
    if needed > (free := shutil.disk_usage(folder).free):
        raise StorageFailed(f"there are {size(free)} left in {folder}; {size(needed)} are to be fetched: free some")


@contextlib.contextmanager
def _locked(file: Path, what: str) -> Iterator[None]:
    handle = os.open(file, os.O_RDWR | os.O_CREAT)
    try:
        locks.acquire(handle, what)
        yield
    finally:
        os.close(handle)
