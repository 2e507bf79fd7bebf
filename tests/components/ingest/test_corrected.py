"""Corrections of labels, applied by ingest to every kind of source."""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.data.corrections import Corrections, append, image_ids
from components.data.splits import Split
from components.errors import DataRejected
from components.ingest import select
from components.ingest.stage import Facts, ingest
from components.settings.sections import Ingest
from tests.components.ingest.sources.test_s3 import put
from tests.components.ingest.test_stage import digest, image_folder
from tests.support import idx_files
from tests.support.noise_pictures import png

REAL = os.environ.get("MNIST_DIR", "")
Labelled = dict[str, tuple[str, str]]  # identity of an image -> its split and its class


def run(out: Path, file: Path | None = None, **settings: Any) -> Facts:
    """Ingest, with the corrections in *file*."""
    params = Ingest(**settings)
    out.mkdir(parents=True)
    cache = out.parent / "cache"
    corrections = Corrections.read(file) if file else Corrections(Path())
    return ingest(out, params, select.fingerprint(params, cache), cache, corrections=corrections)


def splits(out: Path) -> list[str]:
    return [name for name in ("train", "validation", "test") if (out / name).is_dir()]


def labelled(out: Path) -> Labelled:
    classes = json.loads((out / "source.json").read_text())["classes"]
    return {
        image: (split, classes[label])
        for split in splits(out)
        for image, label in zip(image_ids(out, split), Split(out / split).labels.tolist(), strict=True)
    }


def table(root: Path) -> Path:
    image_folder(root / "images")
    rows = [f"{path.relative_to(root)},{path.parent.name}" for path in sorted(root.rglob("*.png"))]
    (root / "labels.csv").write_text("\n".join(["file,label", *rows]) + "\n")
    return root


def archive(root: Path) -> Path:
    image_folder(root)
    with zipfile.ZipFile(root.with_suffix(".zip"), "w") as packed:
        for path in root.rglob("*.png"):
            packed.write(path, path.relative_to(root.parent))
    return root.with_suffix(".zip")


def split_folder(root: Path) -> Path:
    for seed, split in enumerate(("train", "val", "test")):
        for name in "ab":
            (root / split / name).mkdir(parents=True)
            for number in range(6):
                (root / split / name / f"{number}.png").write_bytes(png(100 * seed + 10 * ord(name) + number))
    return root


SOURCES: dict[str, Callable[[Path], Path | str]] = {
    "digits": lambda _: "digits",
    "folder": image_folder,
    "folder with splits": split_folder,
    "table": table,
    "archive": archive,
    "idx": idx_files.write,
}


def check_corrections(source: str, tmp_path: Path, **settings: Any) -> None:
    """One label of each split is corrected, one image of each is dropped, and nothing else changes."""
    run(tmp_path / "before", source=source, **settings)
    before = labelled(tmp_path / "before")
    classes = sorted({label for _, label in before.values()})
    wanted, file = dict(before), tmp_path / "corrections.jsonl"
    for split in (known := splits(tmp_path / "before")):
        first, second = [image for image, (own, _) in before.items() if own == split][:2]
        label = before[first][1]
        wanted[first] = (split, next(name for name in classes if name != label))
        append(file, first, label, wanted[first][1])
        append(file, second, wanted.pop(second)[1], None)
    facts = run(tmp_path / "after", file, source=source, **settings)
    after = labelled(tmp_path / "after")
    if "test_split" in facts:  # a class that is small may then give other images to the test split
        assert {image: label for image, (_, label) in after.items()} == {i: label for i, (_, label) in wanted.items()}
    else:
        assert after == wanted
    changed = len(known)
    assert sum(facts["images"].values()) == len(before) - changed
    counts = {"applied": 2 * changed, "relabelled": changed, "dropped": changed}
    counts |= {"already": 0, "gone": 0, "not_applied": 0}
    assert facts["corrections"] == counts == json.loads((tmp_path / "after" / "corrections.json").read_text())
    assert (
        facts["notes"][-1]
        == f"trained with {2 * changed} corrections: {changed} labels changed, {changed} images dropped"
    )
    assert facts.get("warnings") is None


@pytest.mark.parametrize("kind", SOURCES)
def test_labels_are_corrected_and_images_are_dropped(tmp_path: Path, kind: str) -> None:
    check_corrections(str(SOURCES[kind](tmp_path / "pets")), tmp_path)


@pytest.mark.parametrize("settings", [{"image_size": 9}, {"channels": 3}])
def test_images_that_are_resized_keep_their_identity(tmp_path: Path, settings: dict[str, int]) -> None:
    """A correction made at one size holds at another: identities are those of the source's pixels."""
    source = str(idx_files.write(tmp_path / "digits"))
    run(tmp_path / "own", source=source)
    check_corrections(source, tmp_path, **settings)
    for split in ("train", "test"):
        assert image_ids(tmp_path / "before", split) == image_ids(tmp_path / "own", split)
        assert len(image_ids(tmp_path / "after", split)) == len(Split(tmp_path / "after" / split))


def test_a_bucket_is_corrected_like_a_folder(prefix: str, tmp_path: Path) -> None:
    files = {f"{name}/{i}.png": png(10 * len(name) + i) for name in ("cat", "mouse") for i in range(8)}
    check_corrections(put(f"{prefix}/corrected", files), tmp_path)


@pytest.mark.skipif(not REAL, reason="MNIST_DIR is not set: the real files are not here")
def test_mnist_is_corrected(tmp_path: Path) -> None:
    check_corrections("mnist", tmp_path, data_dir=REAL)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return image_folder(tmp_path / "pets")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pets.jsonl"


def identity(image: Path) -> str:
    return hashlib.sha256(image.read_bytes()).hexdigest()


def test_without_corrections_nothing_is_written_about_them(pets: Path, file: Path, tmp_path: Path) -> None:
    """The same bytes as without this feature, also where every decision is to keep a label."""
    append(file, identity(pets / "a" / "0.png"), "a", "a")
    facts = run(tmp_path / "kept", file, source=str(pets))
    run(tmp_path / "without", source=str(pets))
    assert digest(tmp_path / "kept") == digest(tmp_path / "without")
    assert "corrections" not in facts
    names = {path.name for path in (tmp_path / "kept").iterdir()}
    assert names == {"train", "test", "source.json", "files.json", "sha256.json"}


def test_an_image_in_several_files_is_corrected_in_all_of_them_that_have_the_label(
    pets: Path, file: Path, tmp_path: Path
) -> None:
    original = (pets / "a" / "0.png").read_bytes()
    for name in ("a/copy.png", "b/copy.png"):
        (pets / name).write_bytes(original)
    append(file, identity(pets / "a" / "0.png"), "a", "b")
    facts = run(tmp_path / "out", file, source=str(pets))
    assert facts["corrections"]["applied"] == 1
    assert facts["corrections"]["relabelled"] == 2
    assert "trained with 1 correction: 2 labels changed" in facts["notes"]
    assert labelled(tmp_path / "out")[identity(pets / "a" / "0.png")][1] == "b"


def test_a_label_that_is_right_by_now_needs_no_correction(pets: Path, file: Path, tmp_path: Path) -> None:
    """Somebody moved the file to the right folder: neither a correction nor a warning."""
    append(file, identity(pets / "a" / "0.png"), "a", "b")
    (pets / "a" / "0.png").rename(pets / "b" / "moved.png")
    facts = run(tmp_path / "out", file, source=str(pets))
    assert facts["corrections"]["already"] == 1
    assert facts.get("warnings") is None
    assert not any("corrections" in note for note in facts.get("notes", []))


def test_corrections_that_change_nothing_are_counted_with_the_first(pets: Path, file: Path, tmp_path: Path) -> None:
    """Of images that are gone, and of images that have a third label by now."""
    for number in range(12):
        (pets / "c").mkdir(exist_ok=True)
        (pets / "c" / f"{number}.png").write_bytes(png(100 + number))
    gone, moved = identity(pets / "a" / "0.png"), identity(pets / "a" / "1.png")
    append(file, gone, "a", "b")
    append(file, moved, "a", "b")
    (pets / "a" / "0.png").unlink()
    (pets / "a" / "1.png").rename(pets / "c" / "moved.png")
    facts = run(tmp_path / "out", file, source=str(pets))
    assert facts["corrections"] == {
        "applied": 0, "relabelled": 0, "dropped": 0, "already": 0, "gone": 1, "not_applied": 1,
    }  # fmt: skip
    assert facts["warnings"] == [
        f"1 correction changed nothing, as the images are gone (the first: {gone[:12]}, a -> b)",
        f"1 correction changed nothing, as the images have another label by now (the first: {moved[:12]}, a -> b, and "
        "the label is c)",
    ]


def test_decisions_that_disagree_are_a_warning_and_the_last_holds(pets: Path, file: Path, tmp_path: Path) -> None:
    image = identity(pets / "a" / "0.png")
    append(file, image, "a", "b", who="ann")
    append(file, image, "a", None, who="bob")
    facts = run(tmp_path / "out", file, source=str(pets))
    assert image not in labelled(tmp_path / "out")
    assert facts["warnings"] == [
        f"the decisions about 1 image disagree, and the last one holds (the first: {image[:12]}, a -> b by ann, "
        "dropped by bob)"
    ]


def test_who_decided_and_when_changes_no_byte(pets: Path, tmp_path: Path) -> None:
    """Another home with the same corrections, in another order, has the same artifact."""
    images = [identity(pets / "a" / f"{number}.png") for number in range(3)]
    for place, order in (("here", images), ("elsewhere", images[::-1])):
        file = tmp_path / place / "pets.jsonl"
        for image in order:
            append(file, image, "a", "b", who=place, when=place)
        run(tmp_path / place / "out", file, source=str(pets))
    assert digest(tmp_path / "here" / "out") == digest(tmp_path / "elsewhere" / "out")


def test_a_class_that_does_not_exist_is_refused_before_an_image_is_read(
    pets: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(file, identity(pets / "a" / "0.png"), "a", "bb")
    monkeypatch.setattr(Split, "__init__", None)
    with pytest.raises(DataRejected, match=r"pets\.jsonl, line 1 corrects a label to 'bb', which is no class"):
        run(tmp_path / "out", file, source=str(pets))
    assert not list((tmp_path / "out").iterdir())


def test_a_class_whose_images_are_all_dropped_stays_a_class(pets: Path, file: Path, tmp_path: Path) -> None:
    """The check of validate refuses it, with the sentence for a class without images."""
    for path in (pets / "b").iterdir():
        append(file, identity(path), "b", None)
    run(tmp_path / "out", file, source=str(pets))
    assert json.loads((tmp_path / "out" / "source.json").read_text())["classes"] == ["a", "b"]
    assert {label for _, label in labelled(tmp_path / "out").values()} == {"a"}


def test_a_split_whose_images_are_all_dropped_is_refused(file: Path, tmp_path: Path) -> None:
    source = split_folder(tmp_path / "pets")
    for path in (source / "test").rglob("*.png"):
        append(file, identity(path), path.parent.name, None)
    with pytest.raises(DataRejected, match="has no test images; expected some in each split"):
        run(tmp_path / "out", file, source=str(source))


def test_the_files_of_the_artifact_follow_what_is_dropped(pets: Path, file: Path, tmp_path: Path) -> None:
    """Image i of a split is the file i of files.json, also where the test split is drawn and then stratified."""
    for number in range(0, 12, 2):
        append(file, identity(pets / "a" / f"{number}.png"), "a", None)
    run(tmp_path / "out", file, source=str(pets), test_share=0.5)
    files = json.loads((tmp_path / "out" / "files.json").read_text())
    assert sum(map(len, files.values())) == 18
    for split, paths in files.items():
        for path, pixels in zip(paths, Split(tmp_path / "out" / split).images(), strict=True):
            with Image.open(pets / path) as image:
                assert (np.asarray(image) == pixels[..., 0]).all()
