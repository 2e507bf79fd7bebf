"""sha256 of files, cached by their `stat`, so that an unchanged folder costs one pass of `stat`.

CACHE/
  hashes-<hash of the folder's path>.json    {"path": [size, mtime_ns, ctime_ns, inode, sha256], ...}
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from components.errors import StorageFailed
from components.ingest.reading.read_errors import read_errors
from components.system.files import sha256_of_file, write_atomically

LARGE = 2**18  # bytes; threads hash larger files in parallel, for smaller ones they only contend for the GIL
# A file written again within one tick of its file system's clock looks unchanged: what is this recent is not cached
# (the "racy" entries of git's index: https://git-scm.com/docs/racy-git).
SETTLED_NS = 2 * 10**9


def file_hashes(
    root: Path, files: Mapping[str, os.stat_result], cache: Path, sha256: Callable[[Path], str] = sha256_of_file
) -> dict[str, str]:
    """sha256 of each of *files* (path below *root* -> its status), computed by *sha256* and cached in *cache*."""
    store = cache / f"hashes-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"
    known = _cached(store)
    stamps = {path: _stamp(status) for path, status in files.items()}
    stale = [path for path, stamp in stamps.items() if known.get(path, [])[:4] != stamp]
    settled = time.time_ns() - SETTLED_NS
    large = sum(files[path].st_size for path in stale) > LARGE * len(stale)
    fresh = dict(zip(stale, _compute([root / path for path in stale], sha256, large), strict=True))
    hashes = {path: fresh[path] if path in fresh else str(known[path][4]) for path in stamps}
    if stale or len(known) > len(stamps):
        settled_only = {path: [*stamp, hashes[path]] for path, stamp in stamps.items() if max(stamp[1:3]) < settled}
        _write(store, json.dumps(settled_only, separators=(",", ":")))
    return hashes


def _stamp(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _cached(store: Path) -> dict[str, list[int | str]]:
    """The cached hashes; empty where the file is missing or damaged, since they can always be computed again."""
    try:
        known = json.loads(store.read_bytes())
    except (OSError, ValueError):
        return {}
    valid = isinstance(known, dict) and all(isinstance(entry, list) and len(entry) == 5 for entry in known.values())
    return known if valid else {}


def _compute(paths: list[Path], sha256: Callable[[Path], str], large: bool) -> list[str]:
    if not large:
        return [_checked(path, sha256) for path in paths]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(lambda path: _checked(path, sha256), paths))


def _checked(path: Path, sha256: Callable[[Path], str]) -> str:
    """*sha256* of *path*, whose OSErrors become failures with a message."""
    with read_errors(path):
        return sha256(path)


def _write(store: Path, text: str) -> None:
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(store, text)
    except OSError as error:
        raise StorageFailed(f"{store} cannot be written: {error.strerror}; free space or make it writable") from None
