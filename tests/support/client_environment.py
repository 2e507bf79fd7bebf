"""The environment of the clients that the server is tested with."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.locked_environment import CannotInstall, locked_environment

LOCK = ROOT / "tests/serving/clients/requirements.lock"
MISSING = "the clients of the server cannot be installed"


def python() -> Path:
    """The interpreter of the environment; skips the test where it is missing and cannot be made."""
    try:
        return locked_environment("clients", LOCK) / "python"
    except CannotInstall as reason:
        pytest.skip(f"{MISSING}: {reason}")
