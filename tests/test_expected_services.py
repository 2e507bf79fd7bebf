"""CI_EXPECT: a run of the tests that skips what its machine should have is no success."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CLEAN, ROOT
from tests.support.expected_services import MAY_LACK, REASONS
from tests.support.services import POSTGRESQL, REDIS

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
        ("postgresql chromium", POSTGRESQL, 1),
        ("redis postgresql", f"{POSTGRESQL}; {REDIS}", 1),
        ("chromium redis", POSTGRESQL, 0),
        ("", POSTGRESQL, 0),
        ("postgresql", "docker is not installed", 0),
    ],
)
def test_a_skip_for_what_is_expected_fails_the_run(tmp_path: Path, expected: str, reason: str, status: int) -> None:
    """The reason that the tests of Celery give counts if CI_EXPECT names what is missing, and then only."""
    done = run(tmp_path, expected, reason)
    assert done.returncode == status, done.stdout
    assert ("FAILED: CI_EXPECT names postgresql" in done.stdout) == bool(status)


def test_a_skip_for_a_reason_that_nobody_listed_fails_the_run_in_ci(tmp_path: Path) -> None:
    """It would let tests vanish from CI; elsewhere a test may be skipped for any reason."""
    done = run(tmp_path, "chromium", "not today")
    assert done.returncode == 1, done.stdout
    assert "FAILED: a test was skipped for a reason that is not listed: Skipped: not today" in done.stdout
    assert run(tmp_path, "", "not today").returncode == 0


def test_the_list_of_ci_names_what_it_installs() -> None:
    """Where .ci/run cannot install a program, the tests that need it are skipped, which fails the run."""
    script = (ROOT / ".ci/run").read_text()
    assert {*re.search(r'expect="(.*)"', script)[1].split()} == {"postgresql", "redis", "chromium"}  # type: ignore[index]
    assert {*re.findall(r'expect\+=" (\w+)"', script)} == {"mount", "mnist"}
    assert {*re.findall(r"missing\+=\((\w+)", script)} == {"postgresql", "redis", "chromium"}


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    """A typing mistake would expect nothing."""
    done = run(tmp_path, "postgres", POSTGRESQL)
    assert done.returncode == 4
    assert "CI_EXPECT: postgres: it knows postgresql, redis, chromium, mount, mnist" in done.stderr


@pytest.mark.parametrize("words", [*REASONS.values(), *MAY_LACK])
def test_the_reasons_are_those_that_tests_give(words: str) -> None:
    """A reason in other words would be overlooked."""
    sources = [file.read_text() for file in (ROOT / "tests").rglob("*.py") if "expected_services" not in file.name]
    assert any(re.search(rf"(skip|reason|MISSING|POSTGRESQL|REDIS).*{words}", source) for source in sources)
