"""A session that skips what its machine should have fails: CI_EXPECT="postgresql redis chromium mount mnist compiler".

Under it a session also fails that skips a test for a reason that is in none of the two lists below: a new reason would
let tests vanish from CI without a word.
"""

import os

import pytest

# name -> words of the reason with which tests are skipped where it is missing
REASONS = {
    "postgresql": "PostgreSQL is not installed",
    "redis": "Redis is not installed",
    "chromium": "Chromium",
    "mount": "mount a file system",
    "mnist": "MNIST",
    "compiler": "no C compiler is installed",
    "clients": "the clients of the server cannot be installed",
}

# words of the other reasons: what a machine may lack
MAY_LACK = ("docker", "systemd", "make is not installed", "only root may", "Linux", "the containers' users")


def expected() -> list[str]:
    return os.environ.get("CI_EXPECT", "").split()


def pytest_configure() -> None:
    if unknown := set(expected()) - REASONS.keys():
        raise pytest.UsageError(f"CI_EXPECT: {', '.join(sorted(unknown))}: it knows {', '.join(REASONS)}")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if missing(session.config) or unlisted(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name in missing(config):
        terminalreporter.write_line(f"FAILED: CI_EXPECT names {name}, and tests were skipped without it", red=True)

    for reason in unlisted(config):
        terminalreporter.write_line(f"FAILED: a test was skipped for a reason that is not listed: {reason}", red=True)


def missing(config: pytest.Config) -> list[str]:
    """What CI_EXPECT names and a test was skipped for; the workers of xdist have no reporter and know of none."""
    return [name for name in expected() if any(REASONS[name] in reason for reason in _reasons(config))]


def unlisted(config: pytest.Config) -> list[str]:
    """The reasons of skipped tests that hold none of the listed words, where CI_EXPECT is set."""
    words = (*REASONS.values(), *MAY_LACK)
    unknown = [reason for reason in _reasons(config) if not any(word in reason for word in words)]
    return sorted({*unknown}) if expected() else []


def _reasons(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return [_text(report) for report in reporter.stats.get("skipped", [])] if reporter else []


def _text(report: pytest.TestReport) -> str:
    """Why a test was skipped: pytest gives file, line and reason, or the outcome of an expected failure."""
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
