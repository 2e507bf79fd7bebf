"""files.json and sha256.json of the artifact of ingest, written a line at a time: there may be a million files."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from components.ingest.reading.content_hashes import DIGITS, ContentHashes

SEPARATOR = b': "'  # between a path and its hash


def write_files(file: Path, files: Mapping[str, list[str]]) -> None:
    """Write split -> path of each image in order, as `json.dumps` with sorted keys does."""
    with file.open("w") as out:
        out.writelines(json.JSONEncoder(indent=2, sort_keys=True).iterencode(files))
        out.write("\n")


def write_hashes(file: Path, files: Mapping[str, list[str]], hashes: Mapping[str, str]) -> None:
    """Write path -> sha256 of each of *files*, in the same way."""
    written = sorted(path for paths in files.values() for path in paths)
    with file.open("w") as out:
        start = "{\n"
        for path, sha256 in _of(written, hashes):
            out.write(f"{start}  {json.dumps(path)}: {json.dumps(sha256)}")
            start = ",\n"
        out.write("\n}\n" if written else "{}\n")


def read_hashes(file: Path) -> Iterator[tuple[bytes, str]]:
    """(path, sha256) of each line of *file*, in the order of the paths; the path as JSON."""
    with file.open("rb") as lines:
        for line in lines:
            if line.startswith(b"  "):
                pair = line.rstrip(b",\n")
                yield pair[2 : -len(SEPARATOR) - DIGITS - 1], pair[-DIGITS - 1 : -1].decode()


def read_paths(file: Path) -> Iterator[bytes]:
    """Each path in *file*, in order and as JSON."""
    with file.open("rb") as lines:
        yield from (line.strip(b" ,\n") for line in lines if line.startswith(b"    "))


def read_splits(file: Path) -> list[str]:
    """The splits in *file*, in order."""
    with file.open("rb") as lines:
        return [json.loads(line.partition(b":")[0]) for line in lines if line.startswith(b'  "')]


def _of(paths: Iterable[str], hashes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The hash of each of *paths*, which are in order, as those of *hashes* are."""
    pairs = hashes.pairs() if isinstance(hashes, ContentHashes) else iter(sorted(hashes.items()))
    for path in paths:
        yield next(pair for pair in pairs if pair[0] == path)
