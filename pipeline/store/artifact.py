"""Artifact: a published folder and what its manifest says of it; the digest of its files, and what damage looks like.

The digest names the bytes of the files alone, so that it is the same wherever the artifact is made again. Facts such as
latencies differ each time; the checksum of the manifest covers them, the recipe and the digest.
"""

import json
import os
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from components.system.canonical import canonical, checked, sha256, with_checksum
from components.system.environment import Environment
from components.system.files import sha256_of_file
from pipeline.graph import Facts
from pipeline.store.recipe import Recipe

MANIFEST = "manifest.json"
LARGE = 2**22  # bytes in all, from which on threads hash faster than one: to start them takes a millisecond
CHANGED, MISSING = "was changed since it was published", "was deleted since it was published"
# What file managers and network file systems leave in a folder that somebody looked at or deleted from.
LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")
LITTER_PREFIXES = ("._", ".nfs")


class Made(TypedDict, total=False):
    """When the artifact was made, by which run, in how many seconds and with what; older ones do not say the last."""

    at: str
    run: str
    seconds: float
    environment: Environment


class Manifest(TypedDict):
    """manifest.json."""

    recipe: Recipe
    files: dict[str, str]  # name -> sha256
    digest: str
    facts: Facts
    made: Made


@dataclass(frozen=True)
class Artifact:
    """A published folder, its place in the store and its manifest."""

    stage: str
    key: str
    path: Path
    digest: str
    recipe: Recipe
    files: dict[str, str]
    facts: Facts
    made: Made


@dataclass(frozen=True)
class Brief:
    """What is asked of thousands of artifacts at once: enough to see which was made from which, and its files."""

    stage: str
    digest: str
    inputs: dict[str, str]
    at: str
    files: list[str]

    @classmethod
    def of(cls, artifact: Artifact) -> "Brief":
        time = artifact.made.get("at", "")
        return cls(artifact.stage, artifact.digest, artifact.recipe["inputs"], time, [*artifact.files])


def manifest_text(manifest: Manifest) -> str:
    """The content of manifest.json."""
    return json.dumps(with_checksum(manifest), indent=2, sort_keys=True) + "\n"


def read_manifest(content: bytes) -> Manifest:
    """The manifest in *content*; raises ValueError where it is not what was written."""
    document = checked(content)
    if document.keys() != Manifest.__annotations__.keys():
        raise ValueError("not the keys of a manifest")
    manifest: Manifest = {
        "recipe": document["recipe"],
        "files": document["files"],
        "digest": document["digest"],
        "facts": document["facts"],
        "made": document["made"],
    }
    if digest_of(manifest["files"]) != manifest["digest"]:
        raise ValueError("its digest is not that of its files")
    return manifest


def digest_of(files: dict[str, str]) -> str:
    """One hash for the names and bytes of *files* (name -> sha256)."""
    return sha256(canonical(files))


def files_of(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """(name, status) of everything below *folder* but folders and the manifest; links are not followed.

    Raises OSError where *folder* or one below it cannot be listed.
    """
    pending = [""]
    while pending:
        below = pending.pop()
        with os.scandir(f"{folder}/{below}") as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{below}{entry.name}/")
                elif below or entry.name != MANIFEST:
                    yield f"{below}{entry.name}", entry.stat(follow_symlinks=False)


def is_litter(name: str) -> bool:
    entry = name.rpartition("/")[2]
    return entry in LITTER or entry.startswith(LITTER_PREFIXES)


def difference(files: dict[str, str], present: dict[str, os.stat_result]) -> tuple[str, str] | None:
    """(name, what happened) of the first of the *present* files that is not one of the published *files*."""
    for name in sorted(present.keys() | files.keys()):
        if name not in present:
            return name, MISSING
        if name not in files and not is_litter(name):
            return name, "was added after it was published"
        if name in files and not stat.S_ISREG(present[name].st_mode):
            return name, "is no regular file any more"
    return None


def hash_files(folder: Path, names: Iterable[str] | None = None) -> dict[str, str]:
    """Name -> sha256 of the files *names* below *folder*, of every file but the manifest where it is None."""
    chosen = sorted(names if names is not None else (name for name, _ in files_of(folder)))
    paths = [folder / name for name in chosen]
    if sum(path.stat().st_size for path in paths) < LARGE:
        return dict(zip(chosen, map(sha256_of_file, paths), strict=True))
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter's lock
        return dict(zip(chosen, pool.map(sha256_of_file, paths), strict=True))


def corrupt(path: Path | str, happened: str, stage: str) -> str:
    return f"{path} {happened}; run 'python -m pipeline stage {stage}' to make it again"
