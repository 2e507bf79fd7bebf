"""Artifact: a published folder and what its manifest says of it; the digest of its files."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from components.system.files import sha256_of_file
from pipeline.graph import Facts
from pipeline.store.canonical import canonical, sha256
from pipeline.store.recipe import Recipe

MANIFEST = "manifest.json"


class Made(TypedDict, total=False):
    """When the artifact was made, by which run, in how many seconds."""

    at: str
    run: str
    seconds: float


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


def digest_of(files: dict[str, str]) -> str:
    """One hash for the names and bytes of *files* (name -> sha256)."""
    return sha256(canonical(files))


def hash_files(folder: Path) -> dict[str, str]:
    """Name -> sha256 of every file below *folder*, the manifest left out."""
    paths = sorted(p for p in folder.rglob("*") if not p.is_dir() and p.relative_to(folder) != Path(MANIFEST))
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter's lock
        hashes = pool.map(sha256_of_file, paths)
        return dict(zip((p.relative_to(folder).as_posix() for p in paths), hashes, strict=True))


def corrupt(path: Path | str, happened: str, stage: str) -> str:
    return f"{path} {happened} since it was published; run 'python -m pipeline stage {stage}' to make it again"
