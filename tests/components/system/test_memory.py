"""Available memory is known, and training stays within it however many images there are."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from components.data.input_pipeline import InputPipeline
from components.data.splits import Split, SplitWriter
from components.settings.sections import Train
from components.system import memory
from tests.conftest import CLEAN, ROOT

MEGABYTE = 2**20
SHAPE = (64, 64, 3)
DATA, LIMIT = 400 * MEGABYTE, 200 * MEGABYTE  # bytes of images, and of memory for training on them

# Trains on a few images, so that TensorFlow has loaded all that it needs; then on many, within the limit.
CHILD = """
import resource, sys
from pathlib import Path
from components.system.memory import STATUS, in_bytes
from components.settings.sections import Train
from components.train.stage import train
few, many, out, limit = sys.argv[1:]
def epoch(normalize, name):
    folders = [Path(out, name, part) for part in ("out", "work", "logs")]
    for folder in folders:
        folder.mkdir(parents=True)
    train(Path(normalize), *folders, Train(model="dense", width=0.1, epochs=1, batch_size=256, augment="none"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = epoch(few, "few")
resource.setrlimit(resource.RLIMIT_DATA, (in_bytes(STATUS)["VmData"] + int(limit),) * 2)
print(epoch(many, "many") - before)
"""


def sparse(folder: Path, images: int) -> None:
    """A split of black images in sparse files, in shards as SplitWriter writes them."""
    room = 2730
    with SplitWriter(folder, SHAPE) as split:
        split.add(np.zeros((1, *SHAPE), np.uint8), np.zeros(1, np.int64))
    for shard, first in enumerate(range(0, images, room)):
        shape = (min(room, images - first), *SHAPE)
        with (folder / f"images-{shard:05}.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            file.truncate(file.tell() + int(np.prod(shape)))
    np.save(folder / "labels.npy", np.arange(images) % 2)


def normalized(folder: Path, images: int) -> Path:
    sparse(folder / "train", images)
    sparse(folder / "validation", 512)
    data: dict[str, object] = {"classes": ["a", "b"], "shape": SHAPE, "mean": [0.5] * 3, "std": [0.2] * 3}
    data |= {"images": {"train": images}, "colour_skill": 1.0}
    (folder / "data.json").write_text(json.dumps(data))
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on data is Linux's")
def test_training_on_more_images_than_memory_holds(tmp_path: Path) -> None:
    """An epoch of 400 MB of images within 200 MB, which is the process's limit and bounds its peak."""
    few, many = normalized(tmp_path / "few", 512), normalized(tmp_path / "many", DATA // int(np.prod(SHAPE)))
    command = [sys.executable, "-c", CHILD, str(few), str(many), str(tmp_path / "out"), str(LIMIT)]
    done = subprocess.run(command, cwd=ROOT, env=CLEAN, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    grown = int(done.stdout)
    print(f"{DATA // MEGABYTE} MB of images took {grown // MEGABYTE} MB more than 6 MB of them")
    assert grown < LIMIT


def test_images_stay_in_memory_only_where_a_quarter_of_what_is_available_holds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise they are read from disk, with the same batches."""
    sparse(tmp_path / "train", 100)
    split = Split(tmp_path / "train")
    size = 100 * int(np.prod(SHAPE))
    for available, kept in ((4 * size, True), (4 * size - 1, False)):
        monkeypatch.setattr(memory, "available", lambda left=available: left)
        assert (InputPipeline(split, 2, Train())._images is not None) == kept


def test_available_memory_is_bounded_by_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit minus the memory in use, without the page cache; "max" is no limit."""
    free = memory.available()
    assert 0 < free < 2**50
    (tmp_path / "memory.max").write_text("9000000\n")
    (tmp_path / "memory.current").write_text("5000000\n")
    (tmp_path / "memory.stat").write_text("anon 3000000\ninactive_file 1000000\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "none")
    assert memory.available() == 5_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available() > 5_000_000


def test_available_memory_is_bounded_by_each_group_around_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service of systemd, a slice, a pod: the root has no limit there, and the tightest one counts."""
    for group, limit in (("", "max"), ("system.slice", "8000000"), ("system.slice/train.service", "9000000")):
        (tmp_path / group).mkdir(exist_ok=True)
        (tmp_path / group / "memory.max").write_text(f"{limit}\n")
        (tmp_path / group / "memory.current").write_text("5000000\n")
        (tmp_path / group / "memory.stat").write_text("inactive_file 1000000\n")
    (tmp_path / "membership").write_text("1:name=systemd:/\n0::/system.slice/train.service\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "membership")
    assert memory.available() == 4_000_000
