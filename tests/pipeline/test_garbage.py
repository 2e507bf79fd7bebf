"""Garbage collection: what is kept because something else was made from it, and what is not."""

from pathlib import Path

import pytest

from pipeline import garbage
from pipeline.home import Home
from pipeline.run_record import Done, RunRecord, RunRecorder
from pipeline.store.artifact import Artifact
from pipeline.store.recipe import Recipe, key


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.prepare()
    return home


def publish(home: Home, stage: str, content: str, code: str, at: int, **inputs: Artifact) -> Artifact:
    """An artifact with *content*, made by *code* in the year *at* from *inputs*."""
    recipe: Recipe = {
        "stage": stage,
        "code": {f"components.{stage}.stage": code},
        "params": {},
        "inputs": {name: artifact.digest for name, artifact in inputs.items()},
        "runtime": {},
    }
    with home.store.draft(stage, key(recipe)) as draft:
        (draft / "file").write_text(content)
        return home.store.publish(draft, recipe, {}, {"at": f"{at}-01-01T00:00:00Z"})


def trained(home: Home, code: str, at: int) -> dict[str, Artifact]:
    """Three stages of the *code*, whose bytes are those of every other code; the export is not."""
    data = publish(home, "normalize", "data", code, at)
    model = publish(home, "train", "model", code, at, normalize=data)
    return {"normalize": data, "train": model, "export": publish(home, "export", code, code, at, train=model)}


def tags(artifacts: dict[str, Artifact]) -> dict[str, str]:
    return {f"{stage}.key": artifact.key for stage, artifact in artifacts.items()}


def items(artifacts: dict[str, Artifact]) -> set[tuple[str, str]]:
    return {(stage, artifact.key) for stage, artifact in artifacts.items()}


def test_an_artifact_that_was_made_again_by_other_code_is_kept_once(home: Home) -> None:
    """The last run stands on the new ones, which have the bytes of the old ones."""
    old, new = trained(home, "old", 2025), trained(home, "new", 2026)
    done = [Done(stage, a.key, a.digest, str(a.path), made=True, seconds=0.0) for stage, a in new.items()]
    with RunRecorder(home, RunRecord("r", "2026-01-01T00:00:00Z", stages=done)):
        ...
    assert set(garbage.find(home, []).artifacts) == items(old)


def test_of_equal_inputs_the_newest_is_kept(home: Home) -> None:
    """Of a model that an alias needs, whichever code its data and its export were made again with."""
    old, new = trained(home, "old", 2025), trained(home, "new", 2026)
    found = garbage.find(home, [{"train.key": old["train"].key}])
    assert set(found.artifacts) == {*items(old), ("train", new["train"].key)} - {("train", old["train"].key)}


def test_what_the_tags_name_is_kept(home: Home) -> None:
    """Also where the same bytes exist once more."""
    old, new = trained(home, "old", 2025), trained(home, "new", 2026)
    assert set(garbage.find(home, [tags(old)]).artifacts) == items(new)


def test_an_artifact_of_other_content_is_collected(home: Home) -> None:
    """Nothing that is kept was made from it."""
    kept, other = trained(home, "kept", 2025), publish(home, "normalize", "other data", "other", 2026)
    assert garbage.find(home, [tags(kept)]).artifacts == [("normalize", other.key)]
