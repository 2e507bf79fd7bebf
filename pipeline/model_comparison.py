"""Two registered versions side by side: their figures, what they were made of, and the test images that differ."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from components.data.problems import ImageAt, ImageFiles
from components.errors import ConfigError
from components.export.identity import Identity
from components.promote.comparison import Comparison, compare
from components.promote.predictions import of_evaluation
from components.registry.client import CHAMPION, Registry
from components.registry.model_version import ModelVersion
from pipeline import measured
from pipeline.home import Home
from pipeline.measured import Figures, Measured
from pipeline.store.recipe import differences
from pipeline.tracking import TEST_DIGEST_TAG

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Side:
    """One of the two versions, with what the store still has of it."""

    version: ModelVersion
    measured: Measured
    exports: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # what was measured, by format

    @cached_property
    def figures(self) -> Figures:
        return self.measured.figures(self.version.accuracy)

    @cached_property
    def numbers(self) -> dict[str, float]:
        """Every number in metrics.json and summary.json, by its name there."""
        known: dict[str, object] = {**(self.measured.metrics or {}), **(self.measured.summary or {})}
        return {name: value for name, value in known.items() if isinstance(value, int | float)}


class ChangedImage(NamedTuple):
    """A test image that only one of the two classifies correctly: its class, and what each of them predicts."""

    image: ImageAt
    label: str
    before: str
    after: str

    def __str__(self) -> str:
        return str(self.image)


@dataclass(frozen=True)
class Paired:
    """The two on the same test images: the counts, and the images that one of them alone classifies correctly."""

    comparison: Comparison
    gained: list[ChangedImage] = field(default_factory=list)
    lost: list[ChangedImage] = field(default_factory=list)


@dataclass(frozen=True)
class ModelComparison:
    """*after* compared with *before*; *paired* is None where they were not evaluated on the same test images."""

    before: Side
    after: Side
    changes: list[str]
    paired: Paired | None


def find(registry: Registry, name: str, version: str) -> ModelVersion:
    """The *version* of the model *name*, by its number or its alias; raises ConfigError where it has none."""
    matching = registry.version(name, version) if version.isdigit() else registry.alias(name, version.removeprefix("@"))
    if matching is None:
        known = ", ".join(each.version for each in registry.versions(name)[-10:])
        if not known:
            raise ConfigError(f"no model is called {name}; python -m pipeline history lists all models")
        raise ConfigError(f"{name} has no version {version}; expected an alias such as {CHAMPION}, or one of {known}")
    return matching


def side(home: Home, version: ModelVersion) -> Side:
    known = measured.of_tags(home.store, version.tags)
    train = known.artifacts.get("train")
    return Side(version, known, measured.exported(home.store, train) if train else {})


def of_versions(home: Home, before: ModelVersion, after: ModelVersion) -> ModelComparison:
    old, new = (side(home, version) for version in (before, after))
    paired = _paired(old, new) if _have_same_test_images(old, new) else None
    return ModelComparison(old, new, list(_changes(old, new)), paired)


def _changes(before: Side, after: Side) -> Iterator[str]:
    """What differs in the images, settings, code and libraries that the two were made with, as sentences."""
    old, new = before.measured.artifacts, after.measured.artifacts
    # why an artifact changed is said where its stage comes; that two versions are two needs no word
    followed = {f"input {name} changed" for name in (*new, *(entry.name for entry in fields(Identity)))}
    for stage in new:
        if stage in old and old[stage].key != new[stage].key:
            yield from (s for s in differences(old[stage].recipe, new[stage].recipe) if s not in followed)


def _have_same_test_images(before: Side, after: Side) -> bool:
    complete = all(side.measured.artifacts.keys() >= {"normalize", "evaluate"} for side in (before, after))
    digests = {side.version.tags.get(TEST_DIGEST_TAG) for side in (before, after)}
    return complete and len(digests) == 1 and None not in digests


def _paired(before: Side, after: Side) -> Paired:
    import numpy as np

    from components.data.splits import Split

    artifacts = after.measured.artifacts
    labels = Split(artifacts["normalize"].path / "test").labels
    old, new = (of_evaluation(side.measured.artifacts["evaluate"].path) for side in (before, after))
    predicted_before, predicted_after = (predictions.numbered_as(new.classes) for predictions in (old, new))
    right_before, right_after = predicted_before == labels, predicted_after == labels
    of_both = np.isin(labels, [number for number, name in enumerate(new.classes) if name in old.classes])
    files = ImageFiles.of(artifacts["ingest"].path) if "ingest" in artifacts else ImageFiles({})

    def name(number: int) -> str:
        return new.classes[number] if number >= 0 else "a class that the other does not know"

    def images(which: "NDArray[np.bool_]") -> list[ChangedImage]:
        return [
            ChangedImage(
                files.at("test", index),
                *(name(numbers[index]) for numbers in (labels, predicted_before, predicted_after)),
            )
            for index in np.flatnonzero(of_both & which).tolist()
        ]

    return Paired(compare(new, old, labels), images(right_after & ~right_before), images(right_before & ~right_after))
