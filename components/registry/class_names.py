"""The class names of a registered model, without which its probabilities mean nothing.

They are in the model's file (components.models.saving), in MLflow's metadata of the model and in the tag `classes` of
the version, as a JSON list. A longer list than every MLflow server stores has no tag; the file always has it. Versions
registered before there was such a tag have the names in their description.
"""

import json
from collections.abc import Sequence

from components.registry.client import Registry, answering
from components.registry.model_version import ModelVersion

TAG = "classes"
TAG_CHARACTERS = 5000  # older servers of MLflow take no longer value, newer ones 100,000
DESCRIPTION_CHARACTERS = 4000  # MLflow's column of descriptions has 5,000
DESCRIBED = "returns float32 probabilities of "


def tag(classes: Sequence[str]) -> dict[str, str]:
    """The tag that holds *classes*; none where the list is too long for one."""
    text = json.dumps(list(classes), ensure_ascii=False)
    return {TAG: text} if len(text) <= TAG_CHARACTERS else {}


def from_tag(version: ModelVersion) -> list[str] | None:
    """The names in the tag of *version*; None where there is no such tag, or somebody wrote something else into it."""
    try:
        names = json.loads(version.tags.get(TAG, ""))
    except (ValueError, RecursionError):
        return None
    return names if isinstance(names, list) and names and all(isinstance(name, str) for name in names) else None


def description(classes: Sequence[str]) -> str:
    """What the description of a version says about *classes*."""
    names = ", ".join(classes)
    return f"{DESCRIBED}{names if len(names) <= DESCRIPTION_CHARACTERS else f'{len(classes):,} classes'}."


def from_description(registry: Registry, version: ModelVersion) -> list[str]:
    """The names in the description of *version*, wrong where a name holds a comma: compare their number."""
    with answering(registry.uri):
        text = registry.client.get_model_version(version.name, version.version).description or ""
    return text.partition(DESCRIBED)[2].removesuffix(".").split(", ")
