"""The request log: what a line holds, and that it stays bounded."""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.settings.sections import Serve
from serving.image_statistics import statistics
from serving.request_log import RequestLog

IMAGE = np.zeros((28, 28, 1), np.uint8)
ENTRY: dict[str, Any] = {"time": 1_800_000_000.0, "version": "3", "class": "7", "confidence": 0.5}


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


def test_a_line_is_an_entry_with_the_statistics_of_its_image(tmp_path: Path) -> None:
    """One file for each hour of UTC."""
    log = RequestLog(tmp_path, Serve())
    log.write(ENTRY, IMAGE)
    log.write(ENTRY | {"time": ENTRY["time"] + 3600}, IMAGE)
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["2027-01-15T08.jsonl", "2027-01-15T09.jsonl"]
    assert lines(tmp_path)[0] == ENTRY | statistics(IMAGE)


def test_the_statistics_tell_images_apart() -> None:
    """Brightness, ink and slant, of grey and of colour; a blank image has no slant."""
    leaning = np.zeros((28, 28, 3), np.uint8)
    for row in range(4, 24):
        leaning[row, row : row + 3] = 255
    found = statistics(leaning)
    assert found["slant"] == pytest.approx(1, abs=0.01)
    assert found["ink"] == pytest.approx(60 / 784, abs=1e-3)
    assert statistics(leaning[:, ::-1])["slant"] == pytest.approx(-1, abs=0.01)
    assert statistics(IMAGE) == dict.fromkeys(found, 0.0)
    assert statistics(IMAGE + np.uint8(100))["mean"] == 100


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 50)])
def test_at_most_fifty_a_second_are_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, expected: int
) -> None:
    """Of a flood too; none where the share is 0."""
    monkeypatch.setattr(time, "monotonic", lambda: 7.0)
    log = RequestLog(tmp_path, Serve(log_share=share))
    assert sum(log.samples() for _ in range(1000)) == expected


def test_old_files_and_too_many_bytes_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest first, pictures too."""
    old, large, new = (tmp_path / f"2020-01-0{day}T00.jsonl" for day in (1, 2, 3))
    for file, size in ((old, 10), (large, 900_000), (new, 500_000)):
        file.write_bytes(bytes(size))
    os.utime(old, (0, 0))
    pictures = tmp_path / "2020-01-02T00"
    pictures.mkdir()
    (pictures / "a.png").write_bytes(bytes(10))
    RequestLog(tmp_path, Serve(log_megabytes=1)).write(ENTRY, IMAGE)
    assert {path.name for path in tmp_path.iterdir()} == {new.name, "2027-01-15T08.jsonl"}


def test_the_pictures_of_which_the_model_was_least_sure_are_kept(tmp_path: Path) -> None:
    """As many as the setting says; none by default."""
    log = RequestLog(tmp_path, Serve(keep_images=2))
    for confidence in (0.9, 0.4, 0.8, 0.3, 0.95):
        log.write(ENTRY | {"confidence": confidence}, IMAGE)
    kept = [file.name.partition("-")[0] for file in sorted((tmp_path / "2027-01-15T08").iterdir())]
    assert kept == ["0.3000", "0.4000"]
    other = tmp_path / "other"
    RequestLog(other, Serve()).write(ENTRY, IMAGE)
    assert [path.suffix for path in other.iterdir()] == [".jsonl"]


def test_a_disk_that_does_not_take_it_is_reported_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The server goes on."""
    (tmp_path / "file").write_text("")
    log = RequestLog(tmp_path / "file" / "below", Serve())
    log.write(ENTRY, IMAGE)
    log.write(ENTRY, IMAGE)
    assert capsys.readouterr().err.count("cannot be written (Not a directory)") == 1
