"""CI_EXPECT: a run of the tests that skips what its machine should have is no success."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CLEAN, ROOT
from tests.support.expected_services import REASONS
from tests.support.services import MISSING

TESTS = """
import pytest

def test_that_passes():
    pass

def test_that_needs_a_server():
    pytest.skip({reason!r})
"""


def run(folder: Path, expected: str, reason: str) -> "subprocess.CompletedProcess[str]":
    file = folder / "test_two.py"
    file.write_text(TESTS.format(reason=reason))
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.expected_services", "-c", "/dev/null", str(file)]
    environment = {**CLEAN, "CI_EXPECT": expected}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("expected", "reason", "status"),
    [
        ("celery chromium", MISSING, 1),
        ("chromium", MISSING, 0),
        ("", MISSING, 0),
        ("celery", "not on this system", 0),
    ],
)
def test_a_skip_for_what_is_expected_fails_the_run(tmp_path: Path, expected: str, reason: str, status: int) -> None:
    """The reason that the tests of Celery give counts if CI_EXPECT names celery, and then only."""
    done = run(tmp_path, expected, reason)
    assert done.returncode == status, done.stdout
    assert ("FAILED: CI_EXPECT names celery" in done.stdout) == bool(status)


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    """A typing mistake would expect nothing."""
    done = run(tmp_path, "celary", MISSING)
    assert done.returncode == 4
    assert "CI_EXPECT: celary: it knows celery, chromium, mount, mnist" in done.stderr


@pytest.mark.parametrize("words", REASONS.values())
def test_the_reasons_are_those_that_tests_give(words: str) -> None:
    """A reason in other words would be overlooked."""
    sources = [file.read_text() for file in (ROOT / "tests").rglob("*.py") if "expected_services" not in file.name]
    assert any(re.search(rf"(skip|reason|MISSING).*{words}", source) for source in sources)
