"""A drawn test split has images of every class, whatever chance drew."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.data.splits import Split
from components.ingest import select
from components.ingest.stage import ingest
from components.settings.sections import Ingest


def folder_of(root: Path, sizes: dict[str, int]) -> Path:
    """ROOT/CLASS/N.png, as many as *sizes* says, each another."""
    for number, (name, size) in enumerate(sizes.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(number)
        for i in range(size):
            Image.fromarray(rng.integers(0, 256, (4, 4), np.uint8)).save(root / name / f"{i}.png")
    return root


def ingested(root: Path, out: Path, **settings: float) -> dict[str, set[str]]:
    """The images of each split, by path; every image lies where files.json says."""
    out.mkdir()
    params = Ingest(source=str(root), **settings)  # type: ignore[arg-type]
    facts = ingest(out, params, select.fingerprint(params, out.parent / "cache"), out.parent / "cache")
    files: dict[str, list[str]] = json.loads((out / "files.json").read_text())
    for name, paths in files.items():
        split = Split(out / name)
        assert facts["images"][name] == len(split) == len(paths)
        for path, pixels, label in zip(paths, split.images(), split.labels, strict=True):
            with Image.open(root / path) as image:
                assert (np.asarray(image) == pixels[..., 0]).all()
            assert sorted(entry.name for entry in root.iterdir())[label] == path.split("/")[0]
    assert {entry.name for entry in out.iterdir()} == {"files.json", "sha256.json", "source.json", "test", "train"}
    return {name: set(paths) for name, paths in files.items()}


@pytest.mark.parametrize("share", [0.01, 0.15, 0.5, 0.9])
def test_every_class_has_a_test_image_and_two_others(tmp_path: Path, share: float) -> None:
    """From three images on; ten classes of twelve, of which chance alone leaves one or the other without."""
    sizes = dict.fromkeys("abcdefghij", 12) | {"three": 3, "five": 5}
    splits = ingested(folder_of(tmp_path / "small", sizes), tmp_path / "out", test_share=share)
    for name, size in sizes.items():
        of_class = {split: sum(path.startswith(f"{name}/") for path in paths) for split, paths in splits.items()}
        assert of_class["test"] >= 1
        assert of_class["train"] >= 2
        assert sum(of_class.values()) == size


def test_more_images_move_those_alone_that_a_small_class_had_lent(tmp_path: Path) -> None:
    """A class that grows from 5 images to 60: at most its one test image returns to training."""
    root = folder_of(tmp_path / "pets", {"cat": 100, "dog": 5})
    before = ingested(root, tmp_path / "before")
    after = ingested(folder_of(root, {"cat": 150, "dog": 60}), tmp_path / "after")
    moved = {path for split in before for path in before[split] - after[split]}
    assert len(moved) <= 1
    assert all(path.startswith("dog/") for path in moved)
