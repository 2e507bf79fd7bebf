"""What the artifacts of a model say of it, as far as the store still has them."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from components.artifact_files import Metrics, NormalizedData, TrainSummary
from components.errors import ArtifactCorrupt, StorageFailed
from components.formatting import percent, points
from pipeline.graph import STAGES
from pipeline.store.artifact import Artifact
from pipeline.store.local import Store


class Figures(NamedTuple):
    """Accuracy on the test images, its 95 % interval, and the number of images that were trained on."""

    accuracy: float | None = None
    wilson_low: float | None = None
    wilson_high: float | None = None
    training_images: int | None = None

    def shown(self) -> str:
        """The accuracy and its interval: "99.52 % (99.36 to 99.64)"; "" where it is unknown."""
        if self.accuracy is None:
            return ""
        low, high = self.wilson_low, self.wilson_high
        interval = f" ({points(low)} to {points(high)})" if low is not None and high is not None else ""
        return f"{percent(self.accuracy)}{interval}"


UNKNOWN = Figures()


@dataclass(frozen=True)
class Measured:
    """The artifacts of a model by stage; those that are gone or damaged are left out."""

    artifacts: Mapping[str, Artifact] = field(default_factory=dict)

    @cached_property
    def metrics(self) -> Metrics | None:
        metrics: Metrics | None = self._read("evaluate", "metrics.json")
        return metrics

    @cached_property
    def data(self) -> NormalizedData | None:
        data: NormalizedData | None = self._read("normalize", "data.json")
        return data

    @cached_property
    def summary(self) -> TrainSummary | None:
        summary: TrainSummary | None = self._read("train", "summary.json")
        return summary

    def _read(self, stage: str, name: str) -> Any:
        return json.loads((self.artifacts[stage].path / name).read_bytes()) if stage in self.artifacts else None

    def figures(self, accuracy: float | None) -> Figures:
        """The figures of the model; *accuracy* is what its registry or its run says, where its evaluation is gone."""
        images = self.data["images"]["train"] if self.data else None
        if metrics := self.metrics:
            return Figures(metrics["accuracy"], metrics["wilson_low"], metrics["wilson_high"], images)
        return Figures(accuracy, training_images=images)


def of_keys(store: Store, keys: Mapping[str, str]) -> Measured:
    """What the artifacts with these *keys*, by stage, say."""
    found: dict[str, Artifact] = {}
    for stage, key in keys.items():
        with suppress(ArtifactCorrupt, StorageFailed):
            if artifact := store.get(stage, key):
                found[stage] = artifact
    return Measured(found)


def exports(store: Store, digest: str) -> list[Artifact]:
    """The exports of the model with this *digest* of its artifact, the newest first; their files are not fetched."""
    artifacts = []
    for (stage, key), brief in store.briefs().items():
        if stage == "export" and brief.inputs.get("train") == digest:
            with suppress(ArtifactCorrupt, StorageFailed):
                if artifact := store.get(stage, key, files=False):
                    artifacts.append(artifact)
    return sorted(artifacts, key=lambda artifact: artifact.made.get("at", ""), reverse=True)


def exported(store: Store, train: Artifact) -> Mapping[str, Mapping[str, float]]:
    """What the newest export of the model in the artifact *train* measured, by format; {} where it is gone."""
    return next((artifact.facts for artifact in exports(store, train.digest)), {})


def of_tags(store: Store, tags: Mapping[str, str]) -> Measured:
    """The same for the *tags* of a registered version."""
    return of_keys(store, {stage: tags[f"{stage}.key"] for stage in STAGES if f"{stage}.key" in tags})
