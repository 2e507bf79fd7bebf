"""The corrections of labels that a run applies (ingest.corrections): which file, and its place in ingest's key."""

from pathlib import Path

from components.data.corrections import Corrections
from components.errors import ConfigError
from components.ingest import select
from components.progress import say
from components.settings.sections import Ingest
from pipeline.home import Home
from pipeline.store.recipe import CORRECTIONS

AUTO = "auto"
INPUT = CORRECTIONS  # of ingest, in its recipe


def file_of(params: Ingest, home: Home) -> Path | None:
    """The file that *params* names, which for "auto" may be missing; None for none."""
    if params.corrections == AUTO:
        return home.corrections / f"{select.name(params)}.jsonl"
    return Path(params.corrections) if params.corrections else None


def read(params: Ingest, home: Home) -> Corrections:
    """The corrections of the images that *params* names.

    Raises ConfigError where the file that it names is missing, and what Corrections.read does.
    """
    file = file_of(params, home)
    if file is None:
        return Corrections(Path())
    if params.corrections != AUTO and not file.exists():
        raise ConfigError(
            f"ingest.corrections is {file}, which does not exist; expected a file of corrections, auto, or nothing: "
            "--set ingest.corrections="
        )
    corrections = Corrections.read(file)
    if corrections.torn:
        say(f"  warning: {file} ends in a part of a line, a decision that was not written to its end; it is left out")
    return corrections


def inputs(digest: str) -> dict[str, str]:
    """What corrections with *digest* add to the inputs of ingest: nothing where they change nothing."""
    return {INPUT: digest} if digest else {}


def identity(params: Ingest, home: Home) -> str:
    """What identifies the images and their labels now: the fingerprint of the source, and of what is corrected."""
    return f"{select.fingerprint(params, home.cache)} {read(params, home).digest}".rstrip()


def as_of(params: Ingest, home: Home, digest: str) -> Corrections | None:
    """The corrections with this *digest* that the file of *params* holds, or held before its last lines came.

    None where there are no such, or the file is gone.
    """
    file = file_of(params, home)
    return Corrections.as_of(file, digest) if digest and file and file.is_file() else None
