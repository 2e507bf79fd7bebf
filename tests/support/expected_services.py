"""A session that skips what its machine should have fails: CI_EXPECT="celery chromium mount mnist"."""

import os

import pytest

# name -> words of the reason with which tests are skipped where it is missing
REASONS = {
    "celery": "PostgreSQL and Redis",
    "chromium": "Chromium",
    "mount": "mount a file system",
    "mnist": "MNIST",
    "clients": "the clients of the server cannot be installed",
}


def expected() -> list[str]:
    return os.environ.get("CI_EXPECT", "").split()


def pytest_configure() -> None:
    if unknown := set(expected()) - REASONS.keys():
        raise pytest.UsageError(f"CI_EXPECT: {', '.join(sorted(unknown))}: it knows {', '.join(REASONS)}")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if missing(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name in missing(config):
        terminalreporter.write_line(f"FAILED: CI_EXPECT names {name}, and tests were skipped without it", red=True)


def missing(config: pytest.Config) -> list[str]:
    """What CI_EXPECT names and a test was skipped for; the workers of xdist have no reporter and know of none."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reasons = [str(report.longrepr) for report in reporter.stats.get("skipped", [])] if reporter else []
    return [name for name in expected() if any(REASONS[name] in reason for reason in reasons)]
