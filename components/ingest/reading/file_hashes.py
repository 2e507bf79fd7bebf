"""sha256 of files, cached by their `stat`, so that an unchanged folder costs one pass of `stat`.

CACHE/
  hashes-<hash of the folder's path>.json    a StatCache
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from components.data.pictures.read_errors import DENIED, read_errors
from components.errors import StorageFailed
from components.system.files import sha256_of_file
from components.system.stat_cache import StatCache

LARGE = 2**18  # bytes; threads hash larger files in parallel, for smaller ones they only contend for the GIL


def file_hashes(
    root: Path, files: Mapping[str, os.stat_result], cache: Path, sha256: Callable[[Path], str] = sha256_of_file
) -> dict[str, str]:
    """sha256 of each of *files* (path below *root* -> its status), computed by *sha256* and cached in *cache*."""
    known = StatCache(stat_file(cache, "hashes", root))
    hashes = {path: known.get(path, status) for path, status in files.items()}
    stale = [path for path, sha in hashes.items() if sha is None]
    large = sum(files[path].st_size for path in stale) > LARGE * len(stale)
    fresh = dict(zip(stale, _compute([root / path for path in stale], sha256, large), strict=True))
    try:
        known.update(files, fresh)
    except OSError as error:
        message = f"{known.file} cannot be written: {error.strerror}; free space or make it writable"
        raise StorageFailed(message) from None
    return {path: sha or fresh[path] for path, sha in hashes.items()}


def known_hashes(root: Path, files: Mapping[str, os.stat_result], cache: Path) -> dict[str, str]:
    """Those that *cache* holds of *files* in their present state: no file is read."""
    known = StatCache(stat_file(cache, "hashes", root))
    return {path: sha256 for path, status in files.items() if (sha256 := known.get(path, status))}


def sha256_or_denied(file: Path) -> str:
    """The hash of *file*; of one that must not be read, what its decoding says too."""
    try:
        return sha256_of_file(file)
    except PermissionError:
        return DENIED


def stat_file(cache: Path, kind: str, root: Path) -> Path:
    """The file in *cache* that remembers something about the files below *root*."""
    return cache / f"{kind}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"


def _compute(paths: list[Path], sha256: Callable[[Path], str], large: bool) -> list[str]:
    if not large:
        return [_checked(path, sha256) for path in paths]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(lambda path: _checked(path, sha256), paths))


def _checked(path: Path, sha256: Callable[[Path], str]) -> str:
    """*sha256* of *path*, whose OSErrors become failures with a message."""
    with read_errors(path):
        return sha256(path)
