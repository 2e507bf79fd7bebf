"""Images that an earlier artifact holds are not decoded again, and the artifact is the one that decoding all makes."""

import json
import os
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.data.pictures import decode_workers
from components.data.pictures.decode_workers import Job
from components.ingest import select
from components.ingest.reading import folder_state, recorded_files
from components.ingest.reading.content_hashes import ContentHashes
from components.ingest.reading.earlier_images import EarlierImages
from components.ingest.stage import Facts, ingest
from components.settings.sections import Ingest
from components.system import stat_cache
from tests.components.ingest.sources.test_folder import save
from tests.components.ingest.test_stage import digest, image_folder


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of each file that is decoded."""
    names, work = list[str](), decode_workers.work

    def counted(jobs: Iterable[Job], processes: int) -> object:
        listed = list(jobs)
        names.extend(Path(path).name for job in listed if job.shape for path in job.paths)
        return work(listed, processes)

    monkeypatch.setattr(decode_workers, "work", counted)
    return names


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written before it is looked at counts as old."""
    monkeypatch.setattr(stat_cache, "SETTLED_NS", 0)
    monkeypatch.setattr(folder_state, "SETTLED_NS", 0)


def run(out: Path, root: Path, earlier: Path | None = None, **settings: Any) -> Facts:
    """Ingest *root* to *out*, with *earlier* as the earlier artifact."""
    params, cache = Ingest(source=str(root), **settings), out.parent / "cache"
    out.mkdir(parents=True)
    return ingest(out, params, select.fingerprint(params, cache), cache, earlier=lambda: earlier)


def both(root: Path, decoded: list[str], **settings: Any) -> tuple[Facts, Facts]:
    """The facts of *root* ingested with and without the artifact `before`; its files are the same."""
    folder = root.parent
    full = run(folder / "full", root, **settings)
    decoded.clear()
    reusing = run(folder / "reusing", root, folder / "before", **settings)
    assert digest(folder / "reusing") == digest(folder / "full")
    return reusing, full


def test_only_new_images_are_decoded(tmp_path: Path, decoded: list[str]) -> None:
    """Others came before and after them, are gone, have another name or cannot be read; the files are the same."""
    root = image_folder(tmp_path / "pets", 20)
    (root / "a" / "broken.png").write_bytes(b"none")
    run(tmp_path / "before", root)
    (root / "a" / "0.png").unlink()
    (root / "a" / "5.png").rename(root / "b" / "moved.png")
    for number, name in enumerate(("a/00new.png", "a/new.png", "b/new.png")):
        save(root / name, 100 + number, (5, 4))
    reusing, full = both(root, decoded)
    assert sorted(decoded) == ["00new.png", "broken.png", "new.png", "new.png"]
    assert {**reusing, "seconds": 0} == {**full, "seconds": 0}


def test_the_number_of_decoded_images_is_said(
    tmp_path: Path, decoded: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside the artifact that the others come from."""
    root = image_folder(tmp_path / "pets")
    run(tmp_path / "before", root)
    save(root / "a" / "new.png", 100, (5, 4))
    both(root, decoded)
    assert f"ingest: 1 of 25 images decoded, 24 taken from {tmp_path.name}/before\n" in capsys.readouterr().err


def test_a_file_with_other_content_is_decoded(tmp_path: Path, decoded: list[str]) -> None:
    """Its name, its size and the time of its last change are what they were."""
    root = image_folder(tmp_path / "pets")
    file = root / "a" / "3.png"
    rows = np.arange(20, dtype=np.uint8).reshape(4, 5)
    Image.fromarray(rows).save(file, compress_level=0)
    run(tmp_path / "before", root)
    status = file.stat()
    Image.fromarray(rows + 50).save(file, compress_level=0)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_size == status.st_size
    both(root, decoded)
    assert decoded == ["3.png"]


def test_images_of_another_shape_are_decoded(tmp_path: Path, decoded: list[str]) -> None:
    """The most frequent size is another one by now."""
    root = image_folder(tmp_path / "pets")
    run(tmp_path / "before", root)
    for number in range(40):
        save(root / "a" / f"large-{number}.png", number, (9, 8))
    both(root, decoded)
    assert len(decoded) == 64


def test_a_file_that_changed_just_now_is_decoded(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be written again within one tick of the clock of its file system."""
    root = image_folder(tmp_path / "pets")
    run(tmp_path / "before", root)
    monkeypatch.setattr(stat_cache, "SETTLED_NS", 3600 * 10**9)
    (tmp_path / "cache").rename(tmp_path / "cache of before")
    both(root, decoded)
    assert len(decoded) == 24


def test_images_of_16_bits_are_counted(tmp_path: Path) -> None:
    """No image is taken from an artifact that holds some, as their brightness is known while they are decoded alone."""
    root = image_folder(tmp_path / "pets")
    for number in range(3):
        Image.fromarray(np.full((4, 5), 1000 + number, np.uint16)).save(root / "a" / f"deep-{number}.png")
    assert run(tmp_path / "out", root)["of_16_bits"] == 3


def test_files_whose_paths_cannot_be_distinguished_are_decoded(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths are compared by 64 bits: where those of two are equal, either hash could be of either file."""
    root = image_folder(tmp_path / "pets")
    run(tmp_path / "before", root)
    hashes = {b'"a/3.png"': 1, b'"b/7.png"': 1, b'"b/8.png"': 1}
    monkeypatch.setattr(recorded_files, "hash", lambda path: hashes.get(path) or hash(path), raising=False)
    both(root, decoded)
    assert sorted(decoded) == ["3.png", "7.png", "8.png"]


def test_an_image_is_taken_by_its_whole_hash(tmp_path: Path) -> None:
    """Not by a part of it, and not where it is unknown."""
    run(tmp_path / "before", image_folder(tmp_path / "pets"))
    sha256 = json.loads((tmp_path / "before" / "sha256.json").read_text())["b/2.png"]
    known = (sha256, f"{sha256[:-1]}{'1' if sha256[-1] == '0' else '0'}", f"{'0' * 16}{sha256[16:]}", None)
    hashes = ContentHashes(["0", "1", "2", "3"], array("I", range(4)))
    hashes.set_all(array("I", range(4)), known)
    places, fresh = EarlierImages(tmp_path / "before", hashes).places(range(4))
    assert fresh == [1, 2, 3]
    listed = json.loads((tmp_path / "before" / "files.json").read_text())
    assert [path for split in sorted(listed) for path in listed[split]][places[0]] == "b/2.png"
