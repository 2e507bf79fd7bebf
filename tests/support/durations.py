"""Measured seconds of the tests: --record-durations writes them, --quick and the order of the tests go by them.

tests/durations.json:

    {"files": {FILE: seconds of all its tests},
     "slow": [FILE::TEST, ... of those that take more than SLOW seconds on their own, with the fixtures they need]}

A test that is not in it counts as quick.
"""

import json
import re
import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.xdist_scheduler import ONE_AIRFLOW

FILE = Path(__file__).parents[1] / "durations.json"
ROOT = FILE.parents[1]
SLOW = 1.0

DURATIONS: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {"files": {}, "slow": []}

_fixtures: dict[str, float] = defaultdict(float)  # name of a fixture that tests share -> seconds of its set-up


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("durations")
    group.addoption("--quick", action="store_true", help=f"only tests that take less than {SLOW:g} s (durations.json)")
    group.addoption("--record-durations", action="store_true", help="write tests/durations.json")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Recorder(config), "recorder of durations")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest file first: what starts early keeps no worker waiting at the end."""
    items.sort(key=lambda item: _turn(_file(item.nodeid)))
    if config.getoption("quick"):
        slow = set(DURATIONS["slow"])
        left_out = [item for item in items if _function(item.nodeid) in slow]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if _function(item.nodeid) not in slow]


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    start = time.perf_counter()
    try:
        return (yield)
    finally:
        if fixturedef.scope != "function":
            _fixtures[fixturedef.argname] = max(_fixtures[fixturedef.argname], time.perf_counter() - start)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        shared = max((_fixtures[name] for name in getattr(item, "fixturenames", ()) if name in _fixtures), default=0)
        report.user_properties.append(("fixture_seconds", shared))
    return report


class _Recorder:
    """Collects the reports of all workers."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.seconds: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = self.seconds[report.nodeid]
        test[report.when] = report.duration
        test |= {str(name): float(str(value)) for name, value in report.user_properties if name == "fixture_seconds"}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.config.getoption("quick"):
            self._name_slow(terminalreporter)
        if self.config.getoption("record_durations"):
            FILE.write_text(json.dumps(self._merged(), indent=1) + "\n")
            terminalreporter.write_line(f"wrote {FILE.relative_to(ROOT)}")

    def _name_slow(self, terminal: pytest.TerminalReporter) -> None:
        slow = self._slow()
        if slow:
            terminal.write_line(
                f"slower than {SLOW:g} s; --record-durations takes them out of --quick: {', '.join(slow)}"
            )

    def _slow(self) -> list[str]:
        return sorted({_function(nodeid) for nodeid, test in self.seconds.items() if _alone(test) > SLOW})

    def _merged(self) -> dict[str, Any]:
        """This run's seconds, and those of the last for the files that were not run."""
        files: dict[str, float] = defaultdict(float)
        for nodeid, test in self.seconds.items():
            files[_file(nodeid)] += sum(test.get(when, 0) for when in ("setup", "call", "teardown"))
        old = {name: seconds for name, seconds in DURATIONS["files"].items() if (ROOT / name).exists()}
        kept = [name for name in DURATIONS["slow"] if _file(name) in old and _file(name) not in files]
        merged = old | {name: round(seconds, 1) for name, seconds in files.items()}
        return {"files": dict(sorted(merged.items())), "slow": sorted({*kept, *self._slow()})}


def _turn(file: str) -> tuple[float, int]:
    """Where *file* stands in the order: by its seconds, those of one Airflow together and in their own order."""
    together = ONE_AIRFLOW if file in ONE_AIRFLOW else (file,)
    return -sum(DURATIONS["files"].get(name, 0) for name in together), together.index(file)


def _alone(test: dict[str, float]) -> float:
    """Seconds of a test that is run by itself."""
    return test.get("call", 0) + max(test.get("setup", 0), test.get("fixture_seconds", 0))


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _function(nodeid: str) -> str:
    return re.sub(r"\[.*\]$", "", nodeid, flags=re.DOTALL)
