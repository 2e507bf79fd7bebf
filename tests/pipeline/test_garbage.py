"""Garbage collection: what is kept because something else was made from it, and what is not."""

import json
import os
import time
from pathlib import Path

import pytest

from components.ingest.reading.bucket_copy import folder_of
from pipeline import garbage
from pipeline.garbage import Garbage
from pipeline.home import Home
from pipeline.run_record import Done, RunRecord, RunRecorder
from pipeline.store.artifact import Artifact
from pipeline.store.recipe import Recipe, key
from tests.components.ingest.sources.test_archive import FILES, opened, pack
from tests.components.system.test_held_folders import reader
from tests.pipeline.store.test_leases import another_process


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


def recorded(home: Home, name: str, state: str, artifacts: dict[str, Artifact], *, hours: float = 0) -> None:
    """The record of a run that ended with *state* so many *hours* ago."""
    done = [Done(stage, a.key, a.digest, str(a.path), made=True, seconds=0.0) for stage, a in artifacts.items()]
    with RunRecorder(home, RunRecord(name, f"2026-01-{name}T00:00:00Z", state=state, stages=done)) as recorder:
        file = recorder.folder / "run.json"
    aged(file, hours)


def aged(path: Path, hours: float) -> None:
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


@pytest.mark.parametrize(
    ("state", "hours", "kept"),
    [
        ("unfinished", 1, True),  # Airflow, between two tasks
        ("failed", 1, True),  # Airflow, before a retry
        ("interrupted", 1, True),
        ("unfinished", 30, False),
        ("succeeded", 1, False),
        ("refused", 1, False),
    ],
)
def test_what_a_run_has_made_that_may_go_on_is_kept(home: Home, state: str, hours: float, kept: bool) -> None:
    """For a day, however many runs began since; a run that has ended is one of the last runs or none."""
    artifacts = trained(home, "code", 2026)
    recorded(home, "01", state, artifacts, hours=hours)
    for day in ("02", "03"):
        recorded(home, day, "succeeded", {})
    assert set(garbage.find(home, [], keep_runs=2).artifacts) == (set() if kept else items(artifacts))


def test_the_last_five_runs_are_kept(home: Home) -> None:
    """However long ago they ended; an older one is not."""
    made = {f"{day:02}": publish(home, "normalize", str(day), str(day), 2026) for day in range(1, 9)}
    for name, artifact in made.items():
        recorded(home, name, "succeeded", {"normalize": artifact}, hours=1000)
    oldest = {("normalize", made[name].key) for name in ("01", "02", "03")}
    assert set(garbage.find(home, []).artifacts) == oldest


def test_what_a_live_run_has_made_is_kept_however_silent_it_is(home: Home) -> None:
    """Also where it is none of the last runs."""
    artifacts = trained(home, "code", 2026)
    done = [Done(stage, a.key, a.digest, str(a.path), made=True, seconds=0.0) for stage, a in artifacts.items()]
    with RunRecorder(home, RunRecord("01", "2026-01-01T00:00:00Z", stages=done)) as recorder:
        recorder.save()
        aged(recorder.folder / "run.json", 1000)
        assert garbage.find(home, [], keep_runs=0).artifacts == []


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> int:
    """A second at which the clock of `garbage` stands still."""
    now = int(time.time())
    monkeypatch.setattr(garbage.time, "time", lambda: float(now))  # type: ignore[attr-defined]
    return now


@pytest.mark.parametrize("days", [1, 7])
def test_a_day_and_a_week_end_to_the_second(home: Home, now: int, days: int) -> None:
    """A run that may go on, a folder without a record; the journal of a search, a checkpoint, a copy of images."""
    artifacts = trained(home, "code", 2026)
    files = {"run.json": home.runs / "01" / "run.json", "study.journal": home.tuning / "study.journal"}
    folders = {1: [home.runs / "02"], 7: [home.work("train", "0" * 16), home.cache / "s3" / "copy"]}
    if days == 1:
        recorded(home, "01", "failed", artifacts)
    for folder in (*folders[days], home.tuning):
        folder.mkdir(parents=True, exist_ok=True)
    key = artifacts["train"].key
    if days == 7:
        files["study.journal"].write_text(json.dumps({"key": key}))

    def left(seconds: int) -> tuple[bool, int]:
        """Whether the training is kept, and how many folders are not, so long after all was last written."""
        then = now - seconds
        for path in (*(file for file in files.values() if file.exists()), *folders[days]):
            os.utime(path, (then, then))
        found = garbage.find(home, [], keep_runs=0)
        return ("train", key) not in found.artifacts, len(found.folders) + len(found.copies)

    second = days * 86_400
    assert [left(second + more) for more in (-1, 0, 1)] == [(True, 0), (False, 0), (False, len(folders[days]))]


def test_what_another_machine_has_just_published_is_kept(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shared store no record here names it: pipeline/store/bucket.py says what is young."""
    artifacts = trained(home, "code", 2026)
    young = ("train", artifacts["train"].key)
    monkeypatch.setattr(type(home.store), "is_young", lambda _store, *item: item == young)
    assert set(garbage.find(home, []).artifacts) == items(artifacts) - {young}


def test_what_a_live_process_uses_stays_though_no_run_names_it(home: Home) -> None:
    """A training reads its images for hours, while other runs come and go: `gc` says how much it leaves."""
    artifacts = trained(home, "code", 2026)
    images = artifacts["normalize"]
    with another_process(home.store, f"store.get('normalize', {images.key!r})"):
        found = garbage.find(home, [])
        assert set(found.artifacts) == items(artifacts) - {("normalize", images.key)}
        assert found.in_use == 1
    assert set(garbage.find(home, []).artifacts) == items(artifacts)


def test_what_a_process_has_begun_to_use_meanwhile_stays(home: Home) -> None:
    """Between the look and the deletion: the answer names what is really gone."""
    artifacts = trained(home, "code", 2026)
    images = artifacts["normalize"]
    found = garbage.find(home, [])
    with another_process(home.store, f"store.get('normalize', {images.key!r})"):
        deleted = garbage.collect(home, found)
    assert set(deleted.artifacts) == items(artifacts) - {("normalize", images.key)}
    assert (deleted.in_use, list(home.store.list())) == (1, [("normalize", images.key)])
    assert deleted.bytes < found.bytes


def test_the_events_of_a_live_training_stay(home: Home) -> None:
    """Its artifact is not there yet, and its events are; those of a training that nothing needs go."""
    key = "0" * 16
    for name in (key, "1" * 16):
        home.logs(name).mkdir(parents=True)
    with another_process(home.store, f"draft = store.draft('train', {key!r}); draft.__enter__()"):
        assert garbage.find(home, []).folders == [home.logs("1" * 16)]
        assert (
            garbage.collect(home, Garbage([], [home.logs(key), home.logs("1" * 16)], 0)).bytes == 0
        )  # of no known size
        assert list((home.root / "tensorboard").iterdir()) == [home.logs(key)]


def test_a_checkpoint_is_kept_for_a_week(home: Home) -> None:
    """A training that was killed resumes from it."""
    new, old = home.work("train", "0" * 16), home.work("train", "1" * 16)
    for folder in (new, old):
        folder.mkdir(parents=True)
        (folder / "state.npz").write_bytes(b"1")
    for path in (old, old / "state.npz"):
        aged(path, 8 * 24)
    found = garbage.find(home, [])
    assert found.folders == [old]
    garbage.collect(home, found)
    assert list((home.root / "work").iterdir()) == [new]


def test_the_checkpoint_of_a_live_training_stays(home: Home) -> None:
    """However long one of its epochs takes."""
    folder = home.work("train", "0" * 16)
    folder.mkdir(parents=True)
    aged(folder, 8 * 24)
    with another_process(home.store, f"draft = store.draft('train', {'0' * 16!r}); draft.__enter__()"):
        assert garbage.find(home, []).folders == []
    assert garbage.find(home, []).folders == [folder]


def test_the_figures_of_an_evaluation_go_with_it_and_those_being_drawn_stay(home: Home) -> None:
    """Their names begin with the key; what is being drawn has a name with a dot before it."""
    kept, other = (publish(home, "evaluate", name, name, 2026) for name in ("kept", "other"))
    for name in (f"{kept.key}-1", f"{other.key}-1", f".{other.key}-2"):
        (home.cache / "figures" / name).mkdir(parents=True)
    found = garbage.find(home, [{"evaluate.key": kept.key}])
    assert found.folders == [home.cache / "figures" / f"{other.key}-1"]


def test_what_the_quick_check_knows_of_an_artifact_goes_with_it(home: Home) -> None:
    """Otherwise the cache would grow with every artifact that there ever was."""
    kept, other = trained(home, "kept", 2025), publish(home, "normalize", "other data", "other", 2026)
    for artifact in (kept["train"], other):
        file = home.cache / "artifacts" / f"{artifact.stage}-{artifact.key}.json"
        file.parent.mkdir(exist_ok=True)
        file.touch()
    garbage.collect(home, garbage.find(home, [tags(kept)]))
    assert [file.name for file in (home.cache / "artifacts").iterdir()] == [f"train-{kept['train'].key}.json"]


def test_only_a_model_needs_an_export_and_only_an_export_stands_for_a_model(home: Home) -> None:
    """Whatever else has the same bytes, as an empty folder has."""
    for stage in ("normalize", "validate"):
        same = publish(home, stage, "same", "code", 2026)
        model = publish(home, "train", "same", "code", 2026)
        export = publish(home, "export", "export", "code", 2026, train=model)
        found = garbage.find(home, [{f"{stage}.key": same.key}]).artifacts
        assert {("train", model.key), ("export", export.key)} <= set(found)
    evaluation = publish(home, "evaluate", "metrics", "code", 2026, train=model)
    report = publish(home, "validate", "report", "code", 2026, evaluate=evaluation)
    assert ("evaluate", evaluation.key) not in garbage.find(home, [{"validate.key": report.key}]).artifacts


def test_a_folder_has_another_name_while_it_is_deleted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes half of it for the whole, and the next collection knows it by its name."""
    home.logs("0" * 16).mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(garbage.shutil, "rmtree", lambda *_, **__: None)  # type: ignore[attr-defined]  # as if killed
        garbage.collect(home, garbage.find(home, []))
    aside = home.logs(f"{garbage.ASIDE}{'0' * 16}")
    assert [*aside.parent.iterdir()] == [aside]
    garbage.collect(home, garbage.find(home, []))
    assert [*aside.parent.iterdir()] == []


def test_links_are_not_followed_and_a_file_with_two_names_counts_half(tmp_path: Path) -> None:
    """In size and age: what they lead to is not deleted with them."""
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    for path in (folder, elsewhere):
        path.mkdir()
    (folder / "file").write_bytes(b"12345")
    (elsewhere / "file").hardlink_to(folder / "file")
    (elsewhere / "young").write_bytes(b"12345")
    (folder / "link").symlink_to(elsewhere / "young")
    (folder / "linked").symlink_to(elsewhere)
    for path in folder.iterdir():
        os.utime(path, (1000, 1000), follow_symlinks=False)
    aged(folder, 2)
    size = garbage.bytes_of(folder)
    assert (size, type(size)) == (2, int)
    assert garbage.age(folder) == pytest.approx(2 * 3600, abs=60)


def test_what_a_rollback_restores_can_be_served(home: Home) -> None:
    """Model, export, evaluation and statistics of an earlier champion; its images are not needed any more."""
    old = trained(home, "old", 2025)
    old |= {stage: publish(home, stage, "old", "old", 2025, **made_from(old)) for stage in ("validate", "evaluate")}
    images = publish(home, "normalize", "other", "other", 2024)
    restorable = {f"{stage}.key": artifact.key for stage, artifact in old.items() if stage != "export"}
    found = garbage.find(home, [], restorable=[restorable])
    assert set(found.artifacts) == {("normalize", images.key), ("normalize", old["normalize"].key)}
    assert set(garbage.find(home, []).artifacts) == items(old) | {("normalize", images.key)}


def made_from(artifacts: dict[str, Artifact]) -> dict[str, Artifact]:
    return {stage: artifact for stage, artifact in artifacts.items() if stage in ("normalize", "train")}


def test_the_trainings_of_a_search_that_may_be_resumed_are_kept(home: Home) -> None:
    """Its journal names them; once the search has ended, its best training alone is needed."""
    first, best = (publish(home, "train", name, name, 2026) for name in ("first", "best"))
    home.tuning.mkdir()
    journal, result = home.tuning / "study.journal", home.tuning / "study.json"
    trials = [{"user_attr": {"outcome": {"key": artifact.key}}} for artifact in (first, best)]
    journal.write_text("\n".join(map(json.dumps, trials)))
    assert garbage.find(home, []).artifacts == []
    result.write_text(json.dumps({"best": {"key": best.key}}))
    aged(journal, 1)
    assert garbage.find(home, []).artifacts == [("train", first.key)]
    journal.touch()
    aged(result, 1)
    assert garbage.find(home, []).artifacts == []
    aged(journal, 8 * 24)
    aged(result, 9 * 24)
    assert garbage.find(home, []).artifacts == [("train", first.key)]


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"best": null}', b'{"best": {"key": [1]}}', b"[" * 100_000])
def test_a_damaged_result_of_a_search_is_passed_over(home: Home, content: bytes) -> None:
    """It says nothing of what is needed."""
    home.tuning.mkdir()
    (home.tuning / "study.json").write_bytes(content)
    assert garbage.find(home, []).artifacts == []


def copied(home: Home, kind: str, *, hours: float) -> Path:
    """A copy of an image in the cache, read so many *hours* ago."""
    folder = home.cache / kind / kind
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "1.png").write_bytes(b"12345")
    for path in (folder / "cat" / "1.png", folder / "cat", folder):
        aged(path, hours)
    return folder


@pytest.mark.parametrize("kind", garbage.COPIES)
def test_copies_of_images_go_a_week_after_they_were_last_read(home: Home, kind: str) -> None:
    """Unpacked archives and fetched objects, which the next run makes again."""
    folder = copied(home, kind, hours=6 * 24)
    assert garbage.find(home, []) == Garbage([], [], 0)
    for path in (folder / "cat" / "1.png", folder / "cat", folder):
        aged(path, 8 * 24)
    found = garbage.find(home, [])
    assert found == Garbage([], [], 5, copies={folder: 5})
    assert garbage.collect(home, found) == found
    assert list(folder.parent.iterdir()) == []


def test_a_copy_that_a_live_process_reads_stays(home: Home) -> None:
    """Whatever its age, and also one that was taken up since `gc` looked."""
    folder = copied(home, "unpacked", hours=8 * 24)
    found = garbage.find(home, [])
    with reader(folder):
        aged(folder, 8 * 24)
        assert garbage.find(home, []).copies == {}
        assert garbage.collect(home, found) == Garbage([], [], 0)
        assert (folder / "cat" / "1.png").exists()


def test_reading_an_archive_or_a_bucket_keeps_its_copy(home: Home) -> None:
    """An old copy that a run reads again is as good as a new one; COPIES are the folders that sources read from."""
    archive = pack(home.root / "pets.zip", FILES)
    opened(archive, home.cache)
    (folder,) = (home.cache / "unpacked").iterdir()
    assert folder.parent.name in garbage.COPIES
    assert folder_of("s3://pets", home.cache).parent.name in garbage.COPIES
    for path in (*folder.rglob("*"), folder):
        aged(path, 8 * 24)
    opened(archive, home.cache)
    assert garbage.find(home, []).copies == {}


def test_a_folder_of_runs_without_a_record_goes_after_a_day(home: Home) -> None:
    """As find-lr leaves one with its curve; a run that begins has no record for a moment."""
    old, new = home.runs / "20260101-000000-aaaa", home.runs / "20260102-000000-bbbb"
    for folder in (old, new):
        folder.mkdir()
        (folder / "find-lr.png").write_bytes(b"1")
    for path in (old, old / "find-lr.png"):
        aged(path, 30)
    recorded(home, "01", "succeeded", {}, hours=1000)
    aged(home.runs / "01", 1000)
    found = garbage.find(home, [], keep_runs=0)
    assert found.folders == [old]
    garbage.collect(home, found)
    assert sorted(path.name for path in home.runs.iterdir()) == ["01", new.name]


def test_two_collections_at_once_do_no_harm(home: Home) -> None:
    """The second finds nothing left to delete of what it was about to."""
    trained(home, "code", 2026)
    home.logs("0" * 16).mkdir(parents=True)
    found = garbage.find(home, [])
    for _ in range(2):
        garbage.collect(home, found)
    assert list(home.store.list()) == []
    assert garbage.find(home, []) == Garbage([], [], 0)


def test_what_a_killed_collection_left_goes_with_the_next(home: Home) -> None:
    """A folder that is being deleted has another name, however young it is."""
    for parent in (home.root / "work", home.runs, home.root / "tensorboard", home.cache / "figures"):
        folder = parent / f"{garbage.ASIDE}train-0000000000000000"
        folder.mkdir(parents=True)
    found = garbage.find(home, [])
    assert len(found.folders) == 4
    garbage.collect(home, found)
    assert not [folder for folder in found.folders if folder.exists()]
