"""Corrections of labels in a run: which file it takes, what they change, and what they do not."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from components.data.corrections import append, image_ids, undo
from components.data.splits import Split
from components.errors import ConfigError, DataRejected
from components.settings.sections import Ingest
from pipeline import config, corrections, execute, garbage
from pipeline.cli.main import main
from pipeline.explain import explain
from pipeline.home import Home
from pipeline.run_record import RunRecord
from pipeline.runner import Runner
from pipeline.store.recipe import differences, key
from tests.conftest import QUICK


def params(*overrides: str, source: str = "digits") -> Any:
    return config.load("", (*QUICK, *overrides), source, {})


def runner(home: Path, *overrides: str) -> Runner:
    return Runner(params(*overrides), Home(home), RunRecord("run", "now"))


def ingested(home: Path, *overrides: str) -> Runner:
    return execute.run(params(*overrides), Home(home), until="ingest")


def file_of(home: Path) -> Path:
    return home / "corrections" / "digits.jsonl"


@pytest.fixture
def images(finished: Path) -> list[str]:
    """The identities of three training images of the class 0."""
    ingest = runner(finished).artifact("ingest").path
    labels = Split(ingest / "train").labels.tolist()
    return [image for image, label in zip(image_ids(ingest, "train"), labels, strict=True) if label == 0][:3]


def test_without_corrections_the_recipe_of_ingest_is_what_it_was(finished: Path) -> None:
    """Neither the setting nor an empty file is part of the key."""
    recipe = runner(finished).recipe("ingest")
    assert recipe["inputs"] == {"source": runner(finished).fingerprint}
    assert "corrections" not in recipe["params"]
    assert recipe["params"].keys() == {
        "file_column", "label_column", "split_column", "image_size", "fit", "resize", "channels", "test_share",
    }  # fmt: skip


def test_corrections_of_the_workspace_are_an_input_of_ingest(home: Path, images: list[str]) -> None:
    before = runner(home).recipe("ingest")
    append(file_of(home), images[0], "0", "6")
    after = runner(home).recipe("ingest")
    assert differences(before, after) == ["corrections of labels are new"]
    assert [e.reasons for e in explain(runner(home)) if e.stage == "ingest"] == [["corrections of labels are new"]]
    append(file_of(home), images[1], "0", None)
    assert differences(after, runner(home).recipe("ingest")) == ["corrections of labels changed"]
    for image in images[:2]:
        undo(file_of(home), image)
    assert runner(home).recipe("ingest") == before
    assert differences(after, before) == ["corrections of labels are gone"]


def test_the_same_corrections_in_another_home_make_the_same_artifact(
    home: Path, images: list[str], tmp_path: Path
) -> None:
    for image in images:
        append(file_of(home), image, "0", None, who="ann")
        append(file_of(tmp_path / "other"), image, "0", "1", who="bob")
    for image in reversed(images):
        undo(file_of(tmp_path / "other"), image)
        append(file_of(tmp_path / "other"), image, "0", None, who="cid")
    here, elsewhere = (ingested(place).artifact("ingest") for place in (home, tmp_path / "other"))
    assert (here.key, here.digest) == (elsewhere.key, elsewhere.digest)


def test_what_was_corrected_is_said_in_the_run_and_kept_in_its_record(
    home: Path, images: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """In the note, in the stage's line, in what changed since the run before, and in the report."""
    append(file_of(home), images[0], "0", "6")
    append(file_of(home), images[1], "0", None)
    run = execute.run(params(), Home(home), until="validate")
    said = capsys.readouterr().err
    assert "  trained with 2 corrections: 1 label changed, 1 image dropped\n" in said
    assert "1,436 train, 360 test, 2 corrections of labels" in said
    assert run.record.changes.endswith(": 2 corrections of labels (0 before)")
    assert "rained with 2 corrections: 1 label changed, 1 image dropped" in Path(run.record.report).read_text()


def test_a_file_that_is_set_is_taken_and_an_empty_setting_takes_none(
    home: Path, images: list[str], tmp_path: Path
) -> None:
    append(file_of(home), images[0], "0", "6")
    append(tmp_path / "mine.jsonl", images[0], "0", "8")
    digests = {
        runner(home, f"ingest.corrections={value}").corrections.digest
        for value in ("auto", tmp_path / "mine.jsonl", "")
    }
    assert len(digests) == 3
    assert "" in digests


def test_a_file_that_is_missing_is_refused_where_it_was_set(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ingest\.corrections is .*none\.jsonl, which does not exist; expected"):
        ingested(home, f"ingest.corrections={tmp_path / 'none.jsonl'}")


@pytest.mark.parametrize("line", ["{", '{"sha256": "x"}'])
def test_a_wrong_line_ends_the_run_in_a_sentence(
    home: Path, images: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    append(file_of(home), images[0], "0", "6")
    with file_of(home).open("a") as file:
        file.write(f"{line}\n")
    monkeypatch.setenv("PIPELINE_HOME", str(home))
    assert main(["run", "--source", "digits", "--until", "ingest"]) == 3
    error = capsys.readouterr().err
    assert "corrections/digits.jsonl, line 2 is" in error
    assert "Traceback" not in error


def test_a_part_of_a_line_at_the_end_is_left_out_with_a_warning(
    home: Path, images: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    append(file_of(home), images[0], "0", "6")
    with file_of(home).open("a") as file:
        file.write('{"sha256": "')
    assert ingested(home).facts["ingest"]["corrections"]["applied"] == 1
    assert f"warning: {file_of(home)} ends in a part of a line" in capsys.readouterr().err


def test_a_class_without_images_is_refused_as_ever(home: Path) -> None:
    """Every image of the class 0 is dropped: validate says what it says of a folder without them."""
    ingest = runner(home).artifact("ingest").path
    for split in ("train", "test"):
        for image, label in zip(image_ids(ingest, split), Split(ingest / split).labels.tolist(), strict=True):
            if label == 0:
                append(file_of(home), image, "0", None)
    with pytest.raises(DataRejected, match="train: no image of class '0'; expected images of each"):
        execute.run(params(), Home(home), until="validate")


def test_a_run_of_several_processes_keeps_the_corrections_that_it_began_with(home: Path, images: list[str]) -> None:
    """A decision that is taken while a run trains belongs to the next run."""
    append(file_of(home), images[0], "0", "6")
    first = execute.run_stage(params(), Home(home), "ingest", "scheduled")
    append(file_of(home), images[1], "0", None)
    execute.run_stage(params(), Home(home), "validate", "scheduled")
    done = {d["stage"]: d for d in json.loads((home / "runs" / "scheduled" / "run.json").read_text())["stages"]}
    assert done["ingest"]["key"] == first["key"]
    later = execute.run_stage(params(), Home(home), "ingest", "later")
    assert later["key"] != first["key"]


def test_corrections_that_come_between_key_and_reading_are_taken_by_both(
    home: Path, images: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the key names is what is applied, however often the file changes meanwhile."""
    append(file_of(home), images[0], "0", "6")
    before = runner(home)
    name = key(before.recipe("ingest"))
    append(file_of(home), images[1], "0", "6")
    before.run_stage("ingest")
    assert before.artifact("ingest").key == name
    assert before.facts["ingest"]["corrections"]["applied"] == 1


def test_auto_takes_the_file_of_the_data_set(home: Path) -> None:
    from pipeline.corrections import file_of as chosen

    assert chosen(Ingest(source="digits"), Home(home)) == file_of(home)
    assert chosen(Ingest(source="tfds:fashion_mnist"), Home(home)) == home / "corrections" / "fashion_mnist.jsonl"
    assert chosen(dataclasses.replace(Ingest(source="digits"), corrections=""), Home(home)) is None


def test_garbage_collection_and_verify_leave_corrections_alone(
    home: Path, images: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    append(file_of(home), images[0], "0", "6")
    ingested(home)
    content = file_of(home).read_bytes()
    garbage.collect(Home(home), garbage.find(Home(home), [], keep_runs=0))
    monkeypatch.setenv("PIPELINE_HOME", str(home))
    assert main(["verify"]) == 0
    assert file_of(home).read_bytes() == content


def test_the_corrections_of_an_earlier_run_are_found_in_the_longer_file(tmp_path: Path) -> None:
    """By the hash that the artifact names; a registration may come hours after the images were read."""
    ingest, home, digests = params().ingest, Home(tmp_path), []
    for image in "abc":
        append(file_of(tmp_path), image * 64, "0", "6")
        digests.append(corrections.read(ingest, home).digest)
    for count, digest in enumerate(digests, 1):
        found = corrections.as_of(ingest, home, digest)
        assert found is not None
        assert len(found.effective) == count
    assert corrections.as_of(ingest, home, "sha256:unknown") is None
    assert corrections.as_of(ingest, home, "") is None
