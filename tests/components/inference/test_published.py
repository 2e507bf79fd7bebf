"""From an alias or a number to the folder of a version, every step verified."""

from pathlib import Path
from typing import cast

import pytest

from components.errors import ArtifactCorrupt, ArtifactMissing, ConfigError
from components.inference import model_info, published
from components.registry.client import Registry
from components.registry.exports import SHA256_TAG
from components.registry.model_version import ModelVersion
from tests.support import published_model
from tests.support.published_model import NAME


class Registered:
    """A registry of one model, without a database."""

    def __init__(self, *versions: ModelVersion) -> None:
        self._versions = versions
        self.copies: Path | None = None  # where MLflow has the files of the versions, by number

    def versions(self, name: str) -> list[ModelVersion]:
        return [version for version in self._versions if version.name == name]

    def fetch_files(self, version: ModelVersion, path: str, folder: Path) -> Path | None:
        return self.copies and self.copies / version.version

    def names(self) -> list[str]:
        return sorted({version.name for version in self._versions})


def registry(*versions: ModelVersion) -> Registry:
    return cast("Registry", Registered(*versions))


def version(number: str, sha256: str, *aliases: str) -> ModelVersion:
    return ModelVersion(NAME, number, aliases, {SHA256_TAG: sha256} if sha256 else {})


@pytest.fixture
def two(tmp_path: Path) -> Registry:
    """Version 1, and version 2, the champion."""
    first, second = (published_model.publish(tmp_path, number) for number in ("1", "2"))
    return registry(version("1", first), version("2", second, "champion"))


def test_a_version_is_found_by_alias_and_by_number(two: Registry, tmp_path: Path) -> None:
    """The folder, and what lies in it."""
    for wanted, number in (("champion", "2"), ("2", "2"), ("1", "1")):
        found = published.find(two, NAME, wanted, tmp_path)
        assert (found.version.version, found.folder) == (number, tmp_path / NAME / number)
        assert found.info["version"] == number


@pytest.mark.parametrize(
    ("name", "wanted", "problem"),
    [
        (NAME, "9", "brightness has no version 9; list those it has with python -m pipeline models brightness"),
        (NAME, "challenger", "no version of brightness is its challenger"),
        ("brightnes", "champion", "no registered model 'brightnes'; did you mean 'brightness'?"),
        ("other", "champion", "no registered model 'other'; expected one of brightness"),
    ],
)
def test_what_is_not_registered_is_named(two: Registry, tmp_path: Path, name: str, wanted: str, problem: str) -> None:
    """With what there is instead."""
    with pytest.raises(ConfigError, match=problem):
        published.find(two, name, wanted, tmp_path)


def test_an_empty_registry_says_so(tmp_path: Path) -> None:
    """There is no name to suggest."""
    with pytest.raises(ConfigError, match="nothing is registered"):
        published.find(registry(), NAME, "champion", tmp_path)


def test_a_version_of_an_earlier_release_has_no_files(tmp_path: Path) -> None:
    """The sentence says how to get some."""
    with pytest.raises(ArtifactMissing, match=r"without its exported files; .* with python -m pipeline run"):
        published.find(registry(version("1", "", "champion")), NAME, "champion", tmp_path)


def test_files_that_the_registry_does_not_know_are_refused(tmp_path: Path) -> None:
    """The tag of the version is the root of what is verified."""
    published_model.publish(tmp_path)
    with pytest.raises(ArtifactCorrupt, match=r"model_info\.json was changed"):
        published.find(registry(version("1", "0" * 64, "champion")), NAME, "champion", tmp_path)


def test_files_that_are_gone_are_fetched(two: Registry, tmp_path: Path) -> None:
    """From MLflow's copy, where it has one."""
    (tmp_path / NAME).rename(tmp_path / "copies")
    with pytest.raises(ArtifactMissing, match=r"the files of version 2 of brightness are gone: .*/2 is no folder"):
        published.find(two, NAME, "champion", tmp_path)
    cast("Registered", two).copies = tmp_path / "copies"
    found = published.find(two, NAME, "champion", tmp_path)
    model_info.verify(found.folder, found.info, found.info["files"])
    assert found.folder == tmp_path / NAME / "2"
