"""What stops a runtime is one of two things: a file that it cannot run, or the machine that it runs on."""

import os
import signal

import pytest

from components.errors import ExportRejected, Unavailable
from components.export.benchmark import _failure


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
