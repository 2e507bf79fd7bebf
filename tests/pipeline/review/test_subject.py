"""Which run is reviewed, and what is said where none can be."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from components.data.corrections import append, image_ids, undo
from components.data.splits import Split
from components.errors import ArtifactCorrupt, ArtifactMissing, ConfigError
from pipeline import config, execute
from pipeline.home import Home
from pipeline.review.decisions import Decisions
from pipeline.review.queue import Item
from pipeline.review.reported import KeptPictures
from pipeline.review.subject import find, make_command
from pipeline.run_record import Done, RunRecord, RunRecorder
from tests.conftest import QUICK
from tests.support.review_process import CLASSES, MODEL


@pytest.fixture
def known(figures: Path) -> Home:
    return Home(figures)


def record(home: Home, name: str, started: str = "2036-01-01T00:00:00Z", **changed: object) -> RunRecord:
    """Record another run, later than the one that is there."""
    kept = RunRecord(name, started, settings={"register.name": MODEL})
    vars(kept).update(changed)
    with RunRecorder(home, kept):
        ...
    return kept


def test_before_the_first_run_it_names_the_command_for_it(tmp_path: Path) -> None:
    """In a workspace that is not there."""
    with pytest.raises(ConfigError, match="nothing has run yet, so there is nothing to review: make pipeline"):
        find(Home(tmp_path / "none"))


def test_the_last_run_with_an_evaluation_is_reviewed(known: Home, reviewed: Path) -> None:
    """One that came to its end later and evaluated nothing is passed over."""
    record(known, "later")
    for found in (find(known), find(known, MODEL), find(known, MODEL, str(reviewed / "figures"))):
        assert found.classes == sorted(CLASSES)
        assert found.model == MODEL
        assert found.corrections == known.corrections / "figures.jsonl"
        assert {*found.folders} == {"ingest", "validate", "normalize", "evaluate", "export"}


def test_a_source_is_found_by_another_path_to_it(known: Home, reviewed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to the current folder."""
    monkeypatch.chdir(reviewed)
    assert find(known, source="figures").record.source.endswith("/figures")
    with pytest.raises(
        ConfigError, match="no run has read digits yet; the first: python -m pipeline run --source digits"
    ):
        find(known, source="digits")


def test_a_model_that_no_run_has_trained_is_named_with_those_that_are_known(known: Home) -> None:
    """The closest one where it is misspelt."""
    with pytest.raises(ConfigError, match=f"no run has trained 'figure-classifier'; did you mean '{MODEL}'"):
        find(known, "figure-classifier")
    with pytest.raises(ConfigError, match=f"no run has trained 'x'; expected one of {MODEL}"):
        find(known, "x")
    with pytest.raises(ConfigError, match=f"no run of {MODEL} has read digits yet"):
        find(known, MODEL, "digits")


def test_a_run_that_ended_before_evaluate_has_nothing_to_review(tmp_path: Path) -> None:
    """The sentence has the command that runs it to its end."""
    home = Home(tmp_path)
    record(home, "r1", source="digits", stages=[Done("train", "k", "d", "/p", made=True, seconds=1.0)])
    with pytest.raises(ConfigError, match=r"run r1 ended before evaluate.*: python -m pipeline run --source digits$"):
        find(home)


@pytest.mark.parametrize("stage", ["ingest", "normalize", "evaluate"])
def test_what_is_gone_is_made_again_by_the_command_that_is_named(known: Home, stage: str) -> None:
    """Where `gc`, or a user, has deleted it."""
    shutil.rmtree(known.root / "artifacts" / stage)
    with pytest.raises(ArtifactMissing, match=f"what {stage} of run .* made is gone or damaged.*pipeline run --source"):
        find(known)


@pytest.mark.parametrize("stage", ["validate", "export"])
def test_a_review_does_without_what_only_helps(known: Home, stage: str) -> None:
    """Copies under two labels, and probabilities of images outside the test split."""
    shutil.rmtree(known.root / "artifacts" / stage)
    assert stage not in find(known).folders


def test_a_file_that_was_changed_is_not_reviewed(known: Home) -> None:
    """It says which."""
    (file,) = known.root.glob("artifacts/evaluate/*/problems.csv")
    file.write_text(file.read_text() + "\n")
    with pytest.raises(ArtifactCorrupt, match=r"problems\.csv"):
        find(known)


@pytest.mark.parametrize(
    ("setting", "file", "warned"),
    [
        ("auto", "corrections/figures.jsonl", False),
        ("", "corrections/figures.jsonl", True),
        ("mine.jsonl", "mine.jsonl", False),
    ],
)
def test_decisions_go_where_the_next_run_reads_them(
    known: Home, setting: str, file: str, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file that ingest.corrections names; where it names none, the review warns that they have no effect yet."""
    then = find(known).record
    changed = str(known.root / setting) if setting.endswith("jsonl") else setting
    record(
        known, "later", source=then.source, stages=then.stages, settings=then.settings | {"ingest.corrections": changed}
    )
    assert find(known).corrections == known.root / file
    assert ("ingest.corrections is empty" in capsys.readouterr().err) == warned


def test_the_next_run_applies_what_is_decided_about_a_label_that_the_run_itself_has_corrected(known: Home) -> None:
    """However many decisions came since, and whether the one that the run applied is taken back."""
    run, file = find(known).record, find(known).corrections
    images = image_ids(find(known).folders["ingest"], "train")[:2]
    labels = [find(known).classes[Split(find(known).folders["ingest"] / "train").labels[place]] for place in (0, 1)]
    others = [next(name for name in CLASSES if name != label) for label in labels]
    append(file, images[0], labels[0], others[0])
    ingest = execute.run(config.load("", QUICK, run.source, {}), known, until="ingest").artifact("ingest")
    stages = [replace(done, key=ingest.key) if done.stage == "ingest" else done for done in run.stages]
    record(known, "later", source=run.source, stages=stages, settings=run.settings)
    append(file, images[1], labels[1], others[1])
    undo(file, images[0])

    subject = find(known)
    assert subject.applied == {images[0]: {labels[0]: others[0]}}
    decisions = Decisions(file, "ann", KeptPictures(file.with_name("pictures")), subject.applied)
    decisions.decide(Item(images[0], ((images[0], others[0]),), (), ()), "drop", "", 0)
    later = execute.run(config.load("", QUICK, run.source, {}), known, until="ingest")
    counts = later.facts["ingest"]["corrections"]
    assert (counts["applied"], counts["dropped"], counts["not_applied"]) == (2, 1, 0)


@pytest.mark.parametrize(
    ("source", "chosen", "expected"),
    [
        ("digits", {}, "make pipeline SOURCE=digits"),
        ("tfds:fashion_mnist", {"ingest.source": "tfds:fashion_mnist"}, "make pipeline SOURCE=tfds:fashion_mnist"),
        ("/home/ann/animals", {}, "make pipeline SOURCE=/home/ann/animals"),
        ("/home/ann/my animals", {}, ""),
        ("/home/ann/US$", {}, ""),
        ("/home/ann/it's", {}, ""),
        ("digits", {"train.epochs": 3}, ""),
    ],
)
def test_the_short_command_is_named_where_it_means_the_same(
    source: str, chosen: dict[str, object], expected: str
) -> None:
    """Otherwise the review names the one that repeats every setting."""
    assert make_command(RunRecord("r", "", source=source, chosen=chosen)) == expected
