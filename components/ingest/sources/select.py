"""Where images come from: one module per kind of source, each with `fingerprint(params, cache)` and `read(params)`.

    mnist     the 60,000 + 10,000 digits, from a folder, from tensorflow-datasets' folder, or downloaded
    digits    the 1,797 digits inside scikit-learn
    tfds      tfds:NAME, an image-classification set of tensorflow-datasets
    folder    FOLDER/{train,test}/CLASS/*.png|jpg or FOLDER/CLASS/*.png|jpg
    idx       a folder with four IDX files

Standard library only at import, and the modules of the kinds load nothing heavy to tell their fingerprint: that is
asked on a run with nothing to do.
"""

import difflib
import hashlib
import importlib
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from components.errors import SourceError, SourceUnreachable
from components.settings.sections import Ingest

if TYPE_CHECKING:
    from components.ingest.sources.base import Contents

EXPECTED = "expected mnist, digits, tfds:NAME or a folder that exists"
SECONDS_TO_CHOOSE = 4.0
NOTICE = """\
{line}
  THIS IS NOT MNIST. MNIST is not at hand: {reason}
  The run goes on with the 1,797 small digits inside scikit-learn, under the name digits-classifier.
  For the real data, any of:
    MNIST_DIR=FOLDER make pipeline              a folder with MNIST's four IDX files
    make pipeline SOURCE=mnist                  once the network is there
    python -m pipeline run --source mnist --set ingest.mirror=http://HOST/FOLDER/
  To go on with the digits and without this notice: make pipeline SOURCE=digits
{line}"""


def kind(source: str) -> str:
    """The module that serves *source*: mnist, digits, tfds, folder or idx; raises SourceError for anything else."""
    if source in ("mnist", "digits"):
        return source
    if source.startswith("tfds:"):
        if re.fullmatch(r"[a-z0-9_]+(?:/[\w.-]+)?(?::[\w.*]+)?", source[5:]):
            return "tfds"
        raise SourceError(f"'{source}' names no data set; expected tfds:NAME, such as tfds:fashion_mnist")
    folder = Path(source)
    if source and folder.is_dir():
        return "idx" if _load("idx").find(folder) else "folder"
    raise SourceError(_unknown(source))


def _unknown(source: str) -> str:
    if source == "auto":
        return f"the source 'auto' is for runs started by hand; {EXPECTED}"
    if source and Path(source).exists():
        return f"{source} is a file; {EXPECTED}"
    if "/" in source:
        return f"there is no folder {source}; {EXPECTED}"
    near = difflib.get_close_matches(source, ["mnist", "digits"], n=1)
    return f"no source is called '{source}'; " + (f"did you mean '{near[0]}'? " if near else "") + EXPECTED


def name(params: Ingest) -> str:
    """A short name for what is learned from the source: [a-z0-9_-]+, such as "mnist" or "emnist-letters"."""
    served = kind(params.source)
    if served in ("mnist", "digits"):
        return served
    if served == "tfds":
        return _safe(params.source.removeprefix("tfds:").partition(":")[0])
    return _safe(Path(params.source).resolve().name)


def _safe(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    short = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-")
    # a name in another script leaves nothing over: two such folders must not share one name
    return short or f"images-{hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:8]}"


def fingerprint(params: Ingest, cache: Path) -> str:
    """What identifies the images that the source would give; files' hashes are remembered in the folder *cache*."""
    identity: str = _module(params).fingerprint(params, cache)
    return identity


def read(params: Ingest) -> "Contents":
    """Open the source; its images come as an iterator of blocks."""
    contents: Contents = _module(params).read(params)
    return contents


def choose(params: Ingest) -> tuple[Ingest, str]:
    """Settle the source "auto": *params* with mnist where it is at hand, else digits, and what to tell the person."""
    if params.source != "auto":
        return params, ""
    try:
        _load("mnist").look(params, SECONDS_TO_CHOOSE)
    except SourceUnreachable as error:
        reason = str(error).partition(";")[0]
        return replace(params, source="digits"), NOTICE.format(line="=" * 100, reason=reason)
    return replace(params, source="mnist"), ""


def _module(params: Ingest) -> ModuleType:
    return _load(kind(params.source))


def _load(module: str) -> ModuleType:
    """Imported when asked for: what serves one kind is no part of what identifies another's images."""
    return importlib.import_module(f"components.ingest.sources.{module}")
