"""The queue of a review: which images are in it, why, what is proposed, and which copies are decided about together."""

import json
from pathlib import Path

import numpy as np
import pytest

from components.artifact_files import Mistake, Suspect
from components.data import problems
from components.data.corrections import image_ids
from components.data.problems import ImageAt, Problem
from components.data.splits import Images, Split
from components.evaluate.image_files import NormalizedFiles
from components.evaluate.problem_rows import named_rows
from components.normalize.stage import normalize
from components.settings.sections import Normalize
from pipeline.review.images import IngestedImages, Place
from pipeline.review.queue import Queue, groups, proposal
from tests.support.ingested_images import CLASSES, ingested, random_images, validated

AWKWARD = ["cat", "cat's", 'a "dog"', "cats", "a\\b", "naïve ☂"]


@pytest.fixture
def ingest(tmp_path: Path) -> Path:
    return ingested(tmp_path / "ingest", random_images(60), random_images(20, seed=1))


def with_files(ingest: Path) -> Path:
    files = {split: [f"{split}/{i}.png" for i in range(len(Split(ingest / split)))] for split in ("train", "test")}
    (ingest / "files.json").write_text(json.dumps(files))
    hashes = {path: f"{number:064x}" for number, path in enumerate(path for paths in files.values() for path in paths)}
    (ingest / "sha256.json").write_text(json.dumps(hashes))
    return ingest


def suspected(split: str, position: int, file: str = "") -> Problem:
    return Problem(ImageAt(split, position, file), "c0", problems.SUSPECT, "may be 'c1' with a probability of 90.0 %")


def mistaken(position: int) -> Problem:
    return Problem(ImageAt("test", position, ""), "c0", problems.MISTAKE, "predicted 'c2' with a probability of 80.0 %")


def queue_of(ingest: Path, evaluated: list[Problem], normalized: Path | None = None, **found: list[Problem]) -> Queue:
    queue = Queue(IngestedImages(ingest, normalized or ingest, CLASSES), CLASSES)
    queue.add(evaluated, found.get("validated", []))
    return queue


@pytest.mark.parametrize("name", AWKWARD)
def test_the_class_that_evaluate_writes_is_the_class_that_is_proposed(name: str, tmp_path: Path) -> None:
    """For a mistake, a suspect by probabilities and one by its neighbours, whatever the class is called."""
    number, other = AWKWARD.index(name), (AWKWARD.index(name) + 1) % len(AWKWARD)
    mistake = Mistake(index=0, truth=other, predicted=number, probability=0.9)
    suspect = Suspect(index=1, truth=other, predicted=number, probability=0.9, split="test", given=0.1, margin=-0.8)
    suspects = {"splits": {}, "suspects": [suspect], "training_suspects": [{**suspect, "split": "train"}]}
    rows = named_rows(NormalizedFiles(None, tmp_path), [mistake], suspects, AWKWARD)  # type: ignore[arg-type]
    assert [proposal(row.detail, AWKWARD) for row in rows] == [name] * 3
    assert proposal("is the same image as x.png", AWKWARD) == ""


def test_an_image_that_is_in_two_lists_comes_once_with_both_reasons(ingest: Path) -> None:
    """Suspects come first, whatever the order in the file; the first proposal stays."""
    queue = queue_of(ingest, [mistaken(3), mistaken(4), suspected("test", 3)])
    assert [[reason.kind for reason in item.reasons] for item in queue.items.values()] == [
        ["suspect", "mistake"],
        ["mistake"],
    ]
    assert [item.proposal for item in queue.items.values()] == ["c1", "c2"]
    assert [item.place for item in queue.items.values()] == [Place("test", 3), Place("test", 4)]


def test_copies_under_two_labels_are_one_item_of_all_of_them(ingest: Path, tmp_path: Path) -> None:
    """Within and across splits: each content under each of its labels."""
    train, test = random_images(60), random_images(20, seed=1)
    train[0][5] = train[0][9] = test[0][2] = train[0][1]  # c2, c0 and c2, of an image that is c1
    folder = with_files(ingested(tmp_path / "copies", train, test))
    found = problems.read(validated(tmp_path / "out", folder))
    (item,) = queue_of(folder, [], validated=found).items.values()
    assert {str(place) for place in item.copies} == {"train image 1", "train image 5", "train image 9", "test image 2"}
    assert set(item.given) == {"c0", "c1", "c2"}
    assert len(item.labels) == 4  # as many files
    assert set(item.names) == {"train/1.png", "train/5.png", "train/9.png", "test/2.png"}
    (reason,) = item.reasons
    assert reason.kind == "conflict"
    parts = dict(part.split(" ", 1) for part in reason.text.replace(" is labelled", "").split(", "))
    assert parts == {"train/1.png": "'c1'", "train/5.png": "'c2'", "train/9.png": "'c0'", "test/2.png": "'c2'"}


def test_of_one_content_every_label_is_decided_about_once(tmp_path: Path) -> None:
    """Without files, copies have one identity."""
    train, test = random_images(60), random_images(20, seed=1)
    train[0][4] = train[0][7] = train[0][1]  # c1, as the first
    train[0][8] = train[0][1]  # c2
    folder = ingested(tmp_path / "copies", train, test)
    found = problems.read(validated(tmp_path / "out", folder))
    (item,) = queue_of(folder, [], validated=found).items.values()
    identity = image_ids(folder, "train")[1]
    assert sorted(item.labels) == [(identity, "c1"), (identity, "c2")]


def test_chains_of_copies_are_one_group() -> None:
    """Wherever two pairs meet."""

    def pair(first: int, second: int) -> Problem:
        return Problem(ImageAt("train", first, ""), "", problems.DUPLICATE, "", ImageAt("train", second, ""))

    found = groups([pair(1, 2), pair(3, 4), pair(2, 4), pair(7, 8)])
    assert {place.position for place in found[Place("train", 1)]} == {1, 2, 3, 4}
    assert found[Place("train", 1)] is found[Place("train", 3)]
    assert {place.position for place in found[Place("train", 8)]} == {7, 8}


def test_images_without_files_are_found_by_their_pixels(ingest: Path, tmp_path: Path) -> None:
    """Where normalize has drawn a validation split from the training images: both are places of ingest's."""
    normalized = tmp_path / "normalized"
    normalize(ingest, normalized, Normalize())
    wanted = [("train", 11), ("train", 2), ("validation", 1), ("test", 6)]
    queue = queue_of(ingest, [suspected(*image) for image in wanted], normalized)
    found = [item.place for item in queue.items.values()]
    for (split, position), place in zip(wanted, found, strict=True):
        assert place
        expected = Split(normalized / split).take(np.array([position]))[0]
        np.testing.assert_array_equal(queue.images.pixels(place), expected)
        assert place.split == ("test" if split == "test" else "train")
        assert queue.images.label(place) == CLASSES[int(Split(normalized / split).labels[position])]
    assert len(set(found)) == 4


def same(split: Split, image: Images) -> list[int]:
    found: list[int] = np.flatnonzero((split.images() == image).all((1, 2, 3))).tolist()
    return found


def test_of_copies_without_files_the_first_with_the_label_is_meant(tmp_path: Path) -> None:
    """The same pixels under another label are another image."""
    train, test = random_images(60), random_images(20, seed=1)
    train[0][30] = train[0][32] = train[0][3]  # c0, as the first, and c2
    folder, normalized = ingested(tmp_path / "copies", train, test), tmp_path / "normalized"
    normalize(folder, normalized, Normalize())
    found = {name: same(Split(normalized / name), train[0][3]) for name in ("train", "validation")}
    ((split, positions),) = ((name, positions) for name, positions in found.items() if positions)
    images = IngestedImages(folder, normalized, CLASSES)
    places = images.places([ImageAt(split, position, "") for position in positions])
    assert [place.position for place in places.values()] == [3, 3, 32]


def test_images_with_files_are_found_by_them(ingest: Path) -> None:
    """And are identified by the hash of the file; a file that ingest does not know is left out."""
    with_files(ingest)
    queue = queue_of(ingest, [suspected("validation", 3, "train/40.png"), suspected("train", 5, "train/gone.png")])
    (item,) = queue.items.values()
    assert item.place == Place("train", 40)
    assert item.id == f"{40:064x}"
    assert item.labels == ((item.id, "c1"),)
