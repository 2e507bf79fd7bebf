"""What stops a runtime is one of two things: a file that it cannot run, or the machine that it runs on."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from components.data.splits import SplitWriter
from components.errors import ExportRejected, Unavailable
from components.export import benchmark
from components.export.benchmark import _failure
from components.models.prediction import Predictor


@pytest.mark.parametrize("status", [-signal.SIGKILL, -signal.SIGTERM, os.EX_TEMPFAIL])
def test_a_runtime_that_the_machine_stopped_is_no_verdict_on_the_model(status: int) -> None:
    """Out of memory, or a disk that cannot be read: the run may be tried again, and no model is rejected."""
    failure = _failure("litert", status, "model.tflite: [Errno 5] Input/output error\n")
    assert isinstance(failure, Unavailable)
    assert "was stopped" in str(failure)


@pytest.mark.parametrize("status", [1, -signal.SIGSEGV, -signal.SIGABRT])
def test_a_file_that_a_runtime_cannot_run_is_rejected(status: int) -> None:
    """An exception of the runtime, or a crash in it."""
    failure = _failure("litert", status, "model.tflite: no such operation\n")
    assert isinstance(failure, ExportRejected)
    assert "cannot run model.tflite: no such operation" in str(failure)


def test_one_image_is_timed_on_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a phone answers it; the probabilities of the whole split are computed on all cores, which changes no bit."""
    with SplitWriter(tmp_path / "test", (2, 2, 1)) as out:
        out.add(np.zeros((3, 2, 2, 1), np.uint8), np.zeros(3, np.int64))
    used: list[tuple[int, int]] = []  # threads and images of each call

    def load(runtime: str, file: Path, threads: int) -> Predictor:
        def predictor(images: NDArray[np.uint8]) -> NDArray[np.float32]:
            used.append((threads, len(images)))
            return np.ones((len(images), 2), np.float32)

        return predictor

    monkeypatch.setattr(benchmark, "load", load)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(sys, "argv", ["benchmark", "litert", str(tmp_path / "test"), str(tmp_path), "model.tflite"])
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    benchmark.main()
    assert used[0] == (8, 3)
    assert set(used[1:]) == {(1, 1)}
    assert len(used) - 1 == benchmark.ROUNDS * (benchmark.WARM_UP + benchmark.TIMED)
