"""What a version was made of beside its code: images, corrections of labels, model files. What of it is still there."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.data.corrections import image_ids
from components.errors import (
    ArtifactCorrupt,
    Failure,
    SourceError,
    SourceUnreachable,
    StorageFailed,
    Unavailable,
)
from components.formatting import thousands
from components.ingest import select
from components.registry.client import Registry
from components.settings.sections import IMAGENET, Ingest
from components.system.files import sha256_of_file
from pipeline import teacher as teachers
from pipeline.config import FROM_ENVIRONMENT, SETTINGS, layers, section
from pipeline.home import Home
from pipeline.reproduce.lending import lend
from pipeline.reproduce.recorded import Recorded
from pipeline.reproduce.settings import SOURCE
from pipeline.store.artifact import Artifact

SHOWN = 3  # images that are named


def writable(home: Home, other: Home) -> Home:
    """The one for caches: *home*, or *other* where it is another user's."""
    there = next(place for place in (home.cache, *home.cache.parents) if place.exists())
    return home if os.access(there, os.W_OK) else other


def original(recorded: Recorded, home: Home, stage: str) -> Artifact | None:
    """The artifact of *stage* of the version, None where it is gone or damaged."""
    recorded_stage = recorded.stages.get(stage)
    try:
        artifact = home.store.get(stage, recorded_stage.key) if recorded_stage else None
        if artifact:
            home.store.verify(artifact)
    except ArtifactCorrupt:
        return None
    return artifact if artifact and recorded_stage and artifact.digest == recorded_stage.digest else None


def fingerprint(recorded: Recorded, home: Home, values: Mapping[str, Any]) -> str:
    """That of the images that there are now; hashes of files are cached in *home*.

    A data set that is published does not change, and packages of today may not be those that its fingerprint names:
    it is looked for on this machine, or at its address. Raises SourceError where the images are gone, and
    SourceUnreachable where they cannot be had now.
    """
    known = {name: value for name, value in values.items() if name in SETTINGS}  # a setting of then may be gone
    here = {name: os.environ[name] for name in FROM_ENVIRONMENT if name in os.environ}
    ingest = Ingest(**section({**known, **dict(layers("", (), here))}, "ingest"))
    try:
        if select.can_change(ingest.source):
            return select.fingerprint(ingest, home.cache)
        select.look(ingest)
    except StorageFailed:  # of the cache
        raise
    except Unavailable as error:
        raise SourceUnreachable(f"the images of {recorded.title} cannot be had now: {error}") from error
    except Failure as error:
        raise SourceError(
            f"the images of {recorded.title} are gone: {error}; --source names the place where they are now"
        ) from error
    return recorded.fingerprint


def images_problem(recorded: Recorded, home: Home, values: Mapping[str, Any], present: str) -> str:
    """How the images with the fingerprint *present* are not those of the version, named; "" where they are.

    Also where only reading them will show it.
    """
    if present == recorded.fingerprint or not Path(values[SOURCE]).is_dir():
        return ""
    if (then := original(recorded, home, "ingest")) is None:
        return ""
    changed = list(_changed_files(then.path, Path(values[SOURCE])))
    return f"the images are not those of {recorded.title}: {named(changed)}" if changed else ""


def _changed_files(ingest: Path, folder: Path) -> Iterator[str]:
    """The files that the artifact *ingest* was made of and that are gone from *folder*, or others by now."""
    if not (ingest / "sha256.json").is_file():
        return
    hashes: dict[str, str] = json.loads((ingest / "sha256.json").read_bytes())
    for path, sha256 in sorted(hashes.items()):
        file = folder / path
        if not file.is_file():
            yield f"{path} is gone"
        elif sha256_of_file(file) != sha256:
            yield f"{path} was changed"


def differing_images(then: Path, here: Path) -> list[str]:
    """How the images of two artifacts of ingest differ, each named by its file, or by its place."""
    before, now = _images(then), _images(here)
    changed = [f"{name} was changed" for name in before if name in now and now[name] != before[name]]
    changed += [f"{name} is gone" for name in before if name not in now]
    return changed + [f"{name} is new" for name in now if name not in before]


def _images(ingest: Path) -> dict[str, tuple[str, int]]:
    """The content and label of each image, by its file or place."""
    import numpy as np

    files = ingest / "files.json"
    paths: dict[str, list[str]] = json.loads(files.read_bytes()) if files.is_file() else {}
    images: dict[str, tuple[str, int]] = {}
    for labels in sorted(ingest.glob("*/labels.npy")):
        split = labels.parent.name
        identities, numbers = image_ids(ingest, split), np.load(labels).tolist()
        names = paths.get(split) or [f"{split} image {place}" for place in range(len(numbers))]
        images |= {name: (image, label) for name, image, label in zip(names, identities, numbers, strict=True)}
    return images


def named(changed: list[str]) -> str:
    more = f" and {thousands(len(changed) - SHOWN)} more" if len(changed) > SHOWN else ""
    return ", ".join(changed[:SHOWN]) + more


def corrections_problem(recorded: Recorded) -> str:
    if recorded.corrections is None:
        return f"the corrections of labels of {recorded.title} were not kept with it, or are gone from its files"
    return ""


def models(recorded: Recorded, home: Home, registry: Registry, workspace: Path) -> dict[str, str]:
    """The settings that lead to the model files which the training took, for a run in *workspace*.

    A teacher is found in a registry there. Raises ConfigError where one is gone.
    """
    chosen = {}
    name, wanted = recorded.version.name, str(recorded.settings.get("train.weights", ""))
    if (sha256 := recorded.model("weights")) and wanted != IMAGENET and not _is_file(Path(wanted), sha256):
        version = teachers.find_version("weights", wanted, name, registry, sha256)
        chosen["train.weights"] = str(teachers.model_file(version, home, registry, "weights"))
    if sha256 := recorded.model("teacher"):
        version = teachers.find_version("teacher", str(recorded.settings["train.teacher"]), name, registry, sha256)
        chosen["train.teacher"] = lend(version, registry, workspace)
    return chosen


def _is_file(file: Path, sha256: str) -> bool:
    return file.is_file() and sha256_of_file(file) == sha256
