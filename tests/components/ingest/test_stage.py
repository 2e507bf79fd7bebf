"""Ingest: a source's images as splits on disk, the same bytes every time, or a message that says why not."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.data import problems
from components.data.problems import ImageAt, Problem
from components.data.splits import Split
from components.errors import DataRejected, SourceChanged
from components.findings import Finding
from components.ingest import select
from components.ingest.check import check
from components.ingest.reading.image_source import ImageSource
from components.ingest.stage import Facts, ingest
from components.settings.sections import Ingest

REAL = os.environ.get("MNIST_DIR", "")
ROOT = Path(select.__file__).parents[2]


def run(out: Path, **settings: Any) -> Facts:
    """Ingest as the runner does; returns the facts."""
    params = Ingest(**settings)
    out.mkdir(parents=True)
    cache = out.parent / "cache"
    return ingest(out, params, select.fingerprint(params, cache), cache)


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def image_folder(root: Path, count: int = 12) -> Path:
    """ROOT/{a,b}/N.png, grey noise of 5 x 4."""
    rng = np.random.default_rng(0)
    for name in "ab":
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(rng.integers(0, 256, (4, 5), np.uint8)).save(root / name / f"{i}.png")
    return root


def test_digits_are_two_splits_with_their_provenance(tmp_path: Path) -> None:
    """Images and labels of both splits, and a description of them."""
    facts = run(tmp_path / "out", source="digits")
    train, test = (Split(tmp_path / "out" / split) for split in ("train", "test"))
    assert (len(train), len(test), train.shape) == (1437, 360, (28, 28, 1))
    described = json.loads((tmp_path / "out" / "source.json").read_text())
    assert described.pop("fingerprint").startswith("digits of scikit-learn")
    assert described == {
        "source": "digits",
        "name": "digits",
        "classes": list("0123456789"),
        "shape": [28, 28, 1],
        "images": {"train": 1437, "test": 360},
        "sha256": {},
    }
    assert facts["images"] == {"train": 1437, "test": 360}


@pytest.mark.parametrize("source", ["digits", "folder"])
def test_the_same_source_is_the_same_bytes(tmp_path: Path, source: str) -> None:
    """Ingested twice, every file is identical."""
    name = str(image_folder(tmp_path / "pets")) if source == "folder" else source
    for out in ("one", "two"):
        run(tmp_path / out / "out", source=name)
    assert digest(tmp_path / "one" / "out") == digest(tmp_path / "two" / "out")


def test_size_and_channels_can_be_set_for_any_source(tmp_path: Path) -> None:
    """image_size and channels convert even the digits to another shape."""
    run(tmp_path / "out", source="digits", image_size=16, channels=3)
    images = Split(tmp_path / "out" / "test").images()
    assert images.shape == (360, 16, 16, 3)
    assert (images[..., 0] == images[..., 2]).all()
    assert len(np.unique(images)) > 100
    assert json.loads((tmp_path / "out" / "source.json").read_text())["shape"] == [16, 16, 3]


def test_each_image_of_a_folder_can_be_traced_to_its_file(tmp_path: Path) -> None:
    """files.json lists, for each split, the path of image i at index i."""
    root = image_folder(tmp_path / "pets")
    run(tmp_path / "out", source=str(root))
    files = json.loads((tmp_path / "out" / "files.json").read_text())
    for split, paths in files.items():
        stored = Split(tmp_path / "out" / split)
        assert len(paths) == len(stored) > 0
        for path, pixels, label in zip(paths, stored.images(), stored.labels, strict=True):
            with Image.open(root / path) as image:
                assert (np.asarray(image) == pixels[..., 0]).all()
            assert path[0] == "ab"[label]


def test_nothing_written_depends_on_the_machine(tmp_path: Path) -> None:
    """The files hold no path of the machine: the same folder elsewhere gives the same artifact."""
    for place in ("here", "elsewhere"):
        run(tmp_path / place / "out", source=str(image_folder(tmp_path / place / "pets")))
    assert digest(tmp_path / "here" / "out") == digest(tmp_path / "elsewhere" / "out")


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    """The images read must be those of the key; a retry may succeed."""
    root = image_folder(tmp_path / "pets")
    params = Ingest(source=str(root))
    fingerprint = select.fingerprint(params, tmp_path / "cache")
    (root / "a" / "0.png").write_bytes((root / "b" / "0.png").read_bytes())
    (tmp_path / "out").mkdir()
    with pytest.raises(SourceChanged, match="changed while it was being read; run it again"):
        ingest(tmp_path / "out", params, fingerprint, tmp_path / "cache")


def test_a_split_without_images_is_refused(tmp_path: Path) -> None:
    """Without a test split no model can be evaluated."""
    with pytest.raises(DataRejected, match=r"has no test images.*: add images, or change ingest\.test_share, 0\.01"):
        run(tmp_path / "out", source=str(image_folder(tmp_path / "pets", 1)), test_share=0.01)


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_outside_the_classes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: int) -> None:
    """Some published data sets have -1 for the labels of their test split."""
    images = np.zeros((3, 4, 5, 1), np.uint8)
    source = ImageSource(
        classes=["a", "b"],
        shape=(4, 5, 1),
        images=3,
        blocks=iter([("test", images, np.array([0, label, 1]))]),
        fingerprint=lambda: "",
        origin="",
    )
    monkeypatch.setattr(select, "read", lambda *_: source)
    with pytest.raises(
        DataRejected, match=rf"test split has labels {min(0, label)} to {max(1, label)}; expected 0 to 1"
    ):
        run(tmp_path / "out", source="digits")


def test_other_files_in_class_folders_are_a_warning(tmp_path: Path) -> None:
    """The facts keep what was left out, and the check warns of it, of a reused artifact too."""
    root = image_folder(tmp_path / "pets")
    (root / "a" / "notes.txt").touch()
    facts = run(tmp_path / "out", source=str(root))
    assert "a/notes.txt" in facts["warnings"][0]
    assert check(facts, Ingest(), tmp_path) == [Finding("warning", facts["warnings"][0])]


def test_what_was_decided_is_a_note(tmp_path: Path) -> None:
    """The size that was chosen and what was ignored, of a reused artifact too."""
    root = image_folder(tmp_path / "pets")
    Image.new("L", (9, 9)).save(root / "a" / "other.png")
    (root / "README.md").touch()
    facts = run(tmp_path / "out", source=str(root))
    size, ignored = facts["notes"]
    assert size.startswith("1 of 25 images are not 5 x 4: the smallest is 5 x 4, the largest 9 x 9.")
    assert ignored == "ignored: 1 beside the class folders (README.md)"
    assert check(facts, Ingest(), tmp_path) == [Finding("note", size), Finding("note", ignored)]


def with_unreadable(root: Path, count: int) -> Path:
    """As `image_folder`, with so many web pages called like images."""
    image_folder(root)
    for i in range(count):
        (root / "b" / f"bad{i}.png").write_bytes(b"<html>404</html>")
    return root


def test_unreadable_files_are_set_aside(tmp_path: Path) -> None:
    """They are in problems.csv, the images are those without them, and the check of a reused artifact warns too."""
    root = with_unreadable(tmp_path / "pets", 1)
    facts = run(tmp_path / "out", source=str(root))
    clean = run(tmp_path / "clean" / "out", source=str(image_folder(tmp_path / "clean" / "pets")))
    assert facts["images"] == clean["images"]
    assert problems.read(tmp_path / "out") == [Problem(ImageAt("", -1, "b/bad0.png"), "b", "unreadable", "a web page")]
    (finding,) = check(facts, Ingest(source=str(root)), tmp_path / "out")
    lists = tmp_path / "out" / "problems.csv"
    text = f"1 of 25 files in {root} cannot be used: b/bad0.png (a web page); {lists} lists it. Left out"
    assert finding == Finding("warning", text)
    sha256 = json.loads((tmp_path / "out" / "sha256.json").read_text())
    assert len(sha256) == 24
    assert "b/bad0.png" not in sha256


@pytest.mark.parametrize(
    ("count", "most", "refused"),
    [(1, 0.01, False), (2, 0.01, True), (2, 0.1, False), (3, 0.1, True), (1, 0.0, True), (6, 0.2, False)],
)
def test_more_unreadable_files_than_the_bound_are_refused(
    tmp_path: Path, count: int, most: float, refused: bool
) -> None:
    """One file is no reason to stop a retraining, many are; another bound judges the same artifact."""
    root = with_unreadable(tmp_path / "my pets", count)
    facts = run(tmp_path / "out", source=str(root))
    (finding,) = check(facts, Ingest(source=str(root), max_unreadable_share=most), tmp_path / "out")
    assert finding.severity == ("error" if refused else "warning")
    if refused:
        assert f"; expected at most {100 * most:g} % (ingest.max_unreadable_share). Fix or remove them" in finding.text
        assert finding.text.endswith(f"or move them away: python -m pipeline clean --source '{root}'")


@pytest.mark.skipif(not REAL, reason="MNIST_DIR is not set: the real files are not here")
def test_mnist_is_read_fast_and_in_little_memory(tmp_path: Path) -> None:
    """70,000 images in seconds, with a peak memory far below the 500 MB that three stages can take."""
    code = """
import json, re, sys, time
from pathlib import Path
from components.findings import Finding
from components.ingest import select
from components.ingest.check import check
from components.ingest.reading.image_source import ImageSource
from components.ingest.stage import Facts, ingest
from components.settings.sections import Ingest
params = Ingest(source="mnist", data_dir=sys.argv[1])
facts = ingest(Path(sys.argv[2]), params, select.fingerprint(params, Path("cache")), Path("cache"))
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(json.dumps([facts["images"], int(peak) / 1024, time.process_time()]))
"""
    (tmp_path / "out").mkdir()
    answer = subprocess.run(
        [sys.executable, "-c", code, REAL, str(tmp_path / "out")],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    images, megabytes, seconds = json.loads(answer.stdout)
    assert images == {"train": 60_000, "test": 10_000}
    assert megabytes < 250
    assert seconds < 10
    described = json.loads((tmp_path / "out" / "source.json").read_text())
    assert described["sha256"]["test-labels"].startswith("ff7bcfd416de")
