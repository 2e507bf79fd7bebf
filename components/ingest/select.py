"""Which source serves the setting ingest.source, and the name of what is learned from it.

Each module in components/ingest/sources is one source and offers what SourceModule (reading/image_source.py) says.
Nothing else lists the sources. Standard library only: a run with nothing to do asks for the fingerprint.
"""

import hashlib
import importlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from components.errors import SourceError, SourceUnreachable
from components.formatting import did_you_mean
from components.ingest.reading.naming import ARCHIVES, source_name
from components.settings.sections import Ingest

if TYPE_CHECKING:
    from components.ingest.reading.image_source import ImageSource, Preview, SourceModule

MODULES = Path(__file__).parent / "sources"
BUCKET = "s3://"
FOLDER = "FOLDER"  # the SOURCE of the modules that read a user's own folder
LAST = "folder"  # reads whatever folder no other module recognizes
LONGEST_NAME = 200  # characters, of the 256 that a registered model's name may have
SECONDS_TO_CHOOSE = 4.0
NOTICE = """\
{line}
  THIS IS NOT MNIST. MNIST is not available: {reason}
  The run continues with the 1,797 small digits of scikit-learn, under the name digits-classifier.
  For the real data, any of:
    MNIST_DIR=FOLDER make pipeline              a folder with MNIST's four IDX files
    make pipeline SOURCE=mnist                  once the network is available
    python -m pipeline run --source mnist --set ingest.mirror=http://HOST/FOLDER/
  To use the digits without this notice: make pipeline SOURCE=digits
{line}"""


@cache
def modules() -> tuple[str, ...]:
    """The name of each source's module."""
    return tuple(sorted(path.stem for path in MODULES.glob("*.py") if path.stem != "__init__"))


@cache
def names() -> tuple[str, ...]:
    """What a user can write instead of a folder: "digits", "mnist", "tfds:NAME", ..."""
    return tuple(source for source in (_load(module).SOURCE for module in modules()) if source != FOLDER)


def expected() -> str:
    """What a message says is expected: "digits, mnist, tfds:NAME or a folder or archive that exists"."""
    return f"{', '.join(names())} or a folder or archive that exists"


def is_name(source: str) -> bool:
    """Whether *source* is auto or names a data set or a bucket, rather than a folder or an archive."""
    prefix, colon, _ = source.partition(":")
    return source in ("auto", *names()) or any(name.startswith(f"{prefix}:") for name in names() if colon)


def can_change(source: str) -> bool:
    """Whether the images of *source* can change: those of a published data set cannot."""
    return not is_name(source) or source.startswith(BUCKET)


def kind(source: str) -> str:
    """The module that serves *source*, such as "mnist" or "folder"; raises SourceError where there is none."""
    prefix = source.partition(":")[0]
    for module in sorted(modules(), key=lambda name: (name != prefix, name == LAST)):
        if _load(module).serves(source):
            return module
    raise SourceError(_unknown(source))


def _unknown(source: str) -> str:
    if source == "auto":
        return f"the source 'auto' is for runs started by hand; expected {expected()}"
    if source and Path(source).exists():
        return f"{source} is a file; expected {expected()} ({', '.join(ARCHIVES)})"
    if "/" in source:
        return f"there is no folder {source}; expected {expected()}"
    hint = did_you_mean(source, names())
    return f"no source is called '{source}'; {hint}{' ' if hint else ''}expected {expected()}"


def label(source: str) -> str:
    """*source* in an artifact's provenance: mnist, tfds:fashion_mnist, "folder" for any folder, "s3" for any bucket."""
    module = kind(source)
    return source if ":" in _load(module).SOURCE and not source.startswith(BUCKET) else module


def name(params: Ingest) -> str:
    """A short name for what is learned from the source: [a-z0-9_-]+, such as "mnist" or "emnist-letters"."""
    module = kind(params.source)
    if _load(module).SOURCE == FOLDER:
        return _safe(source_name(Path(params.source).resolve()))
    if params.source.startswith(BUCKET):
        return _safe(source_name(Path("/", params.source.removeprefix(BUCKET))))
    _, colon, data_set = params.source.partition(":")
    return _safe(data_set.partition(":")[0]) if colon else module


def unused_settings(params: Ingest) -> list[str]:
    """The settings of ingest that were changed and that the source cannot use; a sentence each."""
    names: tuple[str, ...] = getattr(_load(kind(params.source)), "UNUSED", ())
    defaults = {f.name: f.default for f in fields(params)}
    return [
        f"ingest.{name} is {getattr(params, name)}, which the source {params.source} cannot use; "
        f"leave it at {defaults[name] or 'its default'}"
        for name in names
        if getattr(params, name) != defaults[name]
    ]


def _safe(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    short = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-")
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]
    # a name in another script leaves nothing: two such folders must not share one name
    return short if 0 < len(short) <= LONGEST_NAME else f"{short[:LONGEST_NAME] or 'images'}-{digest}"


def fingerprint(params: Ingest, cache: Path) -> str:
    """What identifies the images of the source now; the hashes of files are cached in the folder *cache*."""
    return _load(kind(params.source)).fingerprint(params, cache)


def read(params: Ingest, cache: Path) -> "ImageSource":
    """Open the source; its images come as an iterator of blocks."""
    return _load(kind(params.source)).read(params, cache)


def preview(params: Ingest, cache: Path) -> "Preview | None":
    """What reading the source will give; None where only reading it says that. Raises what `read` does."""
    look: Callable[[Ingest, Path], Preview | None] | None = getattr(_load(kind(params.source)), "preview", None)
    return look(params, cache) if look else None


def look(params: Ingest) -> None:
    """Return where a published data set is on disk or its address answers, in seconds; otherwise raise as `read` would.

    Of sources whose images can change nothing is looked at: `fingerprint` does that.
    """
    look_at: Callable[[Ingest], None] | None = getattr(_load(kind(params.source)), "look", None)
    if look_at:
        look_at(params)


def choose(params: Ingest) -> tuple[Ingest, str]:
    """Settle the source "auto": *params* with mnist where it is available, else digits, and a notice for the user."""
    if params.source != "auto":
        return params, ""
    try:
        _load("mnist").look(params, SECONDS_TO_CHOOSE)  # type: ignore[attr-defined] # which no other source needs
    except SourceUnreachable as error:
        reason = str(error).partition(";")[0]
        return replace(params, source="digits"), NOTICE.format(line="=" * 100, reason=reason)
    return replace(params, source="mnist"), ""


def _load(module: str) -> "SourceModule":
    """Imported on demand: the code of one source is no part of what identifies the images of another."""
    return cast("SourceModule", importlib.import_module(f"components.ingest.sources.{module}"))
