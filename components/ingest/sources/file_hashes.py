"""sha256 of files, remembered by what `stat` tells of them, so that an unchanged folder costs one pass of `stat`.

CACHE/
  hashes-<hash of the folder's path>.json    {"path": [size, mtime_ns, ctime_ns, inode, sha256], ...}
"""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from components.errors import SourceError, SourceUnreachable, StorageFailed

# Threads hash large files side by side; for small ones they only fight for the interpreter's lock.
BLOCK, LARGE = 2**16, 2**18
# A file written again within one tick of its file system's clock looks unchanged: what is this young is not remembered
# (the "racy" entries of git's index: https://git-scm.com/docs/racy-git).
SETTLED_NS = 2 * 10**9


def hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def file_hashes(
    root: Path, files: Mapping[str, os.stat_result], cache: Path, digest: Callable[[Path], str] = hash_file
) -> dict[str, str]:
    """sha256 of each of *files* (path below *root* -> its status), as *digest* computes it, remembered in *cache*."""
    memory = cache / f"hashes-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"
    known = _remembered(memory)
    stamps = {path: _stamp(status) for path, status in files.items()}
    stale = [path for path, stamp in stamps.items() if known.get(path, [])[:4] != stamp]
    settled = time.time_ns() - SETTLED_NS
    large = sum(files[path].st_size for path in stale) > LARGE * len(stale)
    fresh = dict(zip(stale, _digests([root / path for path in stale], digest, large), strict=True))
    hashes = {path: fresh[path] if path in fresh else str(known[path][4]) for path in stamps}
    if stale or len(known) > len(stamps):
        told = {path: [*stamp, hashes[path]] for path, stamp in stamps.items() if max(stamp[1:3]) < settled}
        _replace(memory, json.dumps(told, separators=(",", ":")))
    return hashes


def _stamp(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _remembered(memory: Path) -> dict[str, list[int | str]]:
    """What was remembered; nothing where the file is missing or damaged, since it can always be made again."""
    try:
        known = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    whole = isinstance(known, dict) and all(isinstance(v, list) and len(v) == 5 for v in known.values())
    return known if whole else {}


def _digests(paths: list[Path], digest: Callable[[Path], str], large: bool) -> list[str]:
    with ThreadPoolExecutor(os.cpu_count() if large else 1) as threads:
        together = 1 if large else max(1, len(paths))
        chunks = [paths[i : i + together] for i in range(0, len(paths), together)]
        done = list(threads.map(lambda chunk: [_told(path, digest) for path in chunk], chunks))
    return [one for chunk in done for one in chunk]


def _told(path: Path, digest: Callable[[Path], str]) -> str:
    try:
        return digest(path)
    except FileNotFoundError:
        raise SourceUnreachable(f"{path} went away while it was being read; run it again") from None
    except PermissionError:
        raise SourceError(f"{path} cannot be read: permission denied; give its reader the right to") from None


def _replace(memory: Path, text: str) -> None:
    """Write *memory* whole or not at all: two runs may do so at once."""
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=memory.parent, prefix=".hashes-", delete=False) as draft:
            draft.write(text)
        Path(draft.name).replace(memory)
    except OSError as error:
        raise StorageFailed(f"{memory} cannot be written: {error.strerror}; free space or give the right to") from None
