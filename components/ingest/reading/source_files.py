"""files.json and sha256.json of the artifact of ingest, written a line at a time: there may be a million files."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from components.ingest.reading.content_hashes import DIGITS, ContentHashes

AT_ONCE = 2**18  # bytes
PAIRED = len(': ""') + DIGITS  # bytes after a path: its hash, in quotes


def write_files(file: Path, files: Mapping[str, list[str]]) -> None:
    """Write split -> path of each image in order, as `json.dumps` with sorted keys does."""
    with file.open("w") as out:
        out.writelines(json.JSONEncoder(indent=2, sort_keys=True).iterencode(files))
        out.write("\n")


def write_hashes(file: Path, files: Mapping[str, list[str]], hashes: Mapping[str, str]) -> None:
    """Write path -> sha256 of each of *files*, in the same way."""
    written, encode = sorted(path for paths in files.values() for path in paths), json.JSONEncoder().encode
    with file.open("w") as out:
        start = "{\n"
        for path, sha256 in _of(written, hashes):
            out.write(f'{start}  {encode(path)}: "{sha256}"')
            start = ",\n"
        out.write("\n}\n" if written else "{}\n")


def hash_lines(file: Path) -> Iterator[tuple[list[bytes], bytes]]:
    """(paths, the digits of their sha256) of many lines of *file* at once, in the order of the paths; paths as JSON."""
    for lines in _many(file, b"  "):
        pairs = [line.rstrip(b",\n") for line in lines]
        yield [pair[2:-PAIRED] for pair in pairs], b"".join(pair[-DIGITS - 1 : -1] for pair in pairs)


def path_lines(file: Path) -> Iterator[list[bytes]]:
    """Many paths in *file* at once, in order and as JSON."""
    for lines in _many(file, b"    "):
        yield [line.strip(b" ,\n") for line in lines]


def _many(file: Path, indent: bytes) -> Iterator[list[bytes]]:
    """The lines that begin with *indent*, AT_ONCE bytes of them at once."""
    with file.open("rb") as content:
        while lines := content.readlines(AT_ONCE):
            yield [line for line in lines if line.startswith(indent)]


def read_splits(file: Path) -> list[str]:
    """The splits in *file*, in order."""
    with file.open("rb") as lines:
        return [json.loads(line.partition(b":")[0]) for line in lines if line.startswith(b'  "')]


def _of(paths: Iterable[str], hashes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The hash of each of *paths*, which are in order, as those of *hashes* are."""
    pairs = hashes.pairs() if isinstance(hashes, ContentHashes) else iter(sorted(hashes.items()))
    for path in paths:
        yield next(pair for pair in pairs if pair[0] == path)
