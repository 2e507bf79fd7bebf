"""The signatures of registered versions: made, and checked, wherever MLflow keeps the files."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components.errors import ArtifactCorrupt, ConfigError
from components.inference import model_info
from components.registry import exports, model_files, signature
from components.registry.client import CHAMPION, Registry
from components.registry.model_version import ModelVersion
from components.registry.signature import PrivateKey
from pipeline.commands import pipeline_command


@dataclass(frozen=True)
class Checked:
    """What became of the signature of *version*; *problem* is "" where it is right, or where none is needed."""

    version: ModelVersion
    signed: bool
    problem: str


def sign(registry: Registry, version: ModelVersion, key: PrivateKey) -> int:
    """Sign the files of *version*, and log the signature beside them; the number of files signed.

    Raises ConfigError where this pipeline did not register *version*, ArtifactCorrupt where its files are missing or
    damaged: what `verify` reports is not signed.
    """
    if not version.model_sha256:
        raise ConfigError(f"{_title(version)} was registered by another program: what its files should be is not known")
    with _files(registry, version) as folder, tempfile.TemporaryDirectory() as scratch:
        if folder is None:
            raise ArtifactCorrupt(f"{_title(version)} cannot be signed: its files are missing")
        _expect_whole(version, folder)
        draft = Path(scratch, signature.FOLDER)
        draft.mkdir()  # with the rights that a new folder has here: MLflow copies them
        count = signature.sign(folder, key, draft / signature.NAME)
        registry.log_files(version, draft, signature.FOLDER)
    return count


def check(registry: Registry, key: Path) -> Iterator[Checked]:
    """Check every version that this pipeline registered by the public *key*. The champion has to be signed."""
    for version in (version for name in registry.names() for version in registry.versions(name)):
        if version.model_sha256:
            with _files(registry, version) as folder:
                if folder is None or not (folder / signature.FILE).exists():
                    yield Checked(version, signed=False, problem=_unsigned(version))
                else:
                    problem = signature.problem(folder, key)
                    sentence = problem and f"{_title(version)}: {problem}; {_again(version)}"
                    yield Checked(version, signed=True, problem=sentence)


def _title(version: ModelVersion) -> str:
    return f"version {version.version} of {version.name} in the registry"


def _unsigned(version: ModelVersion) -> str:
    """That *version* has no signature, where it is one that is used."""
    if CHAMPION not in version.aliases:
        return ""
    return f"{_title(version)} is the champion and has no signature; if it is yours: {_command(version)}"


def _again(version: ModelVersion) -> str:
    return f"if that was your change, sign it again: {_command(version)}"


def _command(version: ModelVersion) -> str:
    return pipeline_command("sign", version.version, "--name", version.name, "--key", "FILE")


@contextmanager
def _files(registry: Registry, version: ModelVersion) -> Iterator[Path | None]:
    """The folder of the files of *version*, fetched where they are on a server; None where they are missing."""
    here = model_files.folder_of(version.source)
    if here is not None:
        yield here if here.is_dir() else None
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield registry.fetch_files(version, "", Path(scratch))


def _expect_whole(version: ModelVersion, folder: Path) -> None:
    """Raise ArtifactCorrupt where a file in *folder* is not what the tags of *version* say."""
    added = ((name, "was added") for name in model_files.added(version, folder))
    for name, what in itertools.chain(model_files.damages(version, folder), added):
        raise ArtifactCorrupt(f"{model_files.sentence(version, name, what)}; nothing was signed")
    if published := version.tags.get(exports.SHA256_TAG):
        info = model_info.read(folder / exports.COPY, published)
        model_info.verify(folder / exports.COPY, info, info["files"])
