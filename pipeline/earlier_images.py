"""The artifact of ingest whose images need not be decoded again where some were added to the source.

It is a hint: it changes the time that ingest takes and never its bytes, so it is no part of the recipe.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from components.errors import ArtifactCorrupt, StorageFailed
from components.ingest import select
from components.progress import say
from components.settings.sections import Ingest
from pipeline.store.artifact import Artifact
from pipeline.store.local import Store
from pipeline.store.recipe import Recipe

STAGE = "ingest"
NOT_OF_PIXELS = ("test_share", "file_column", "label_column", "split_column")  # settings that decode no image otherwise


def find(artifacts: Path, params: Ingest, recipe: Recipe) -> Path | None:
    """The newest artifact of the same source below *artifacts* that decoded as *recipe* does, every byte verified.

    Only this machine is searched: to fetch the images may take longer than to decode them. Images of 16 bits have to be
    decoded, as the brightest value of each is known then alone.
    """
    store = Store(artifacts)
    for earlier in sorted(_alike(store, params, recipe), key=_made_at, reverse=True):
        try:
            if artifact := store.get(STAGE, earlier.key):  # leases it
                store.verify(artifact)
                return artifact.path
        except (ArtifactCorrupt, StorageFailed) as error:
            say(f"  {str(error).partition(';')[0]}; no image is taken from there")
    return None


def _alike(store: Store, params: Ingest, recipe: Recipe) -> Iterator[Artifact]:
    for stage, key in store.list():
        artifact = _artifact(store, key) if stage == STAGE else None
        if artifact and _decoding(artifact.recipe) == _decoding(recipe) and _is_of(artifact, params):
            yield artifact


def _artifact(store: Store, key: str) -> Artifact | None:
    try:
        return store.get(STAGE, key, files=False)
    except (ArtifactCorrupt, StorageFailed):
        return None


def _made_at(artifact: Artifact) -> str:
    return artifact.made.get("at", "")


def _decoding(recipe: Recipe) -> tuple[object, ...]:
    """What decides the pixels of an image, given its file."""
    params = {name: value for name, value in recipe["params"].items() if name not in NOT_OF_PIXELS}
    return recipe["code"], recipe["runtime"], params


def _is_of(artifact: Artifact, params: Ingest) -> bool:
    """Whether the artifact holds image files of the source that *params* name, as it was at some time."""
    if "sha256.json" not in artifact.files or artifact.facts.get("of_16_bits"):
        return False
    try:
        source = json.loads((artifact.path / "source.json").read_bytes())
        return (source["source"], source["name"]) == (select.label(params.source), select.name(params))
    except (OSError, ValueError, LookupError, TypeError):
        return False
