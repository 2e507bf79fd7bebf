"""`make mutate`: what it changes is there, what it calls explained is too, and what survives is counted."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import ROOT
from tests.mutation.__main__ import COPIED, FILES, Result, Survivor, changed_lines, judged
from tests.mutation.server import KILLED
from tests.mutation.targets import EXPLAINED, MODULES
from tests.support.ended_with_us import start

MODULE = "components/metrics.py"
DIFF = """--- mutation diff ---
--- a/components/metrics.py
+++ b/components/metrics.py
@@ -1,3 +1,3 @@
 def share(part: int, whole: int) -> float:
-    return part / whole
+    return part * whole
"""
SOUND = "def half(number):\n    return number / 2\n"
TESTS = "from half import half\n\ndef test_half():\n    assert half(6) == 3\n"


def mutation(outcome: str | None, line: int = 2, diff: str = DIFF) -> list[Any]:
    """An item of `cosmic-ray dump`; *outcome* None for a mutation that was left out."""
    item = {"mutations": [{"start_pos": [line, 4]}]}
    worker = "normal" if outcome else "skipped"
    return [item, {"worker_outcome": worker, "test_outcome": outcome, "diff": diff}]


def test_every_module_and_its_tests_are_there() -> None:
    """A module that moves would otherwise be left out of the next run."""
    for module, tests in MODULES.items():
        assert (ROOT / module).is_file(), module
        files = [name for name in tests if name.startswith("tests/")]
        assert files, module
        assert all((ROOT / name).exists() for name in files), module
    assert all((ROOT / name).exists() for name in (*COPIED, *FILES))


def test_what_is_explained_is_of_a_module_that_is_changed() -> None:
    """Each with its reason."""
    assert all(entry.module in ("", *MODULES) and entry.reason for entry in EXPLAINED)
    assert Path(ROOT / "tests/mutation/requirements.lock").read_text().count("cosmic-ray==") == 1


def test_what_survives_is_listed_by_line_and_counted() -> None:
    """Killed and explained mutations count among all, those that were left out do not."""
    frozen = DIFF.replace("part * whole", "dataclass(frozen=False)")
    dumped = [
        mutation("killed"),
        mutation("survived", line=9),
        mutation("survived", line=2),
        mutation(None),
        mutation("survived", diff=frozen),
        [{"mutations": []}, None],
    ]
    result = judged(MODULE, dumped)
    survivor = Survivor(2, "return part / whole", "return part * whole")
    assert result.survivors == [survivor, Survivor(9, survivor.before, survivor.after)]
    assert str(survivor) == "2: return part / whole  ->  return part * whole"
    assert (result.mutations, result.explained, result.share) == (4, 1, 0.5)
    assert result.row() == "| `components/metrics.py` | 4 | 2 | 50.0% | 1 | 0 |"
    assert Result(MODULE).share == 0


def test_the_lines_of_a_diff_are_those_that_it_changes() -> None:
    """Not the names of the files, nor the lines around."""
    assert changed_lines(DIFF) == ("return part / whole", "return part * whole")


class Half(NamedTuple):
    """A small module, and the server that runs its tests."""

    module: Path
    address: Path

    def status(self, text: str) -> int:
        """With which the tests end once the module has this *text*."""
        self.module.write_text(text)
        client = [sys.executable, "-IS", str(ROOT / "tests/mutation/client.py"), str(self.address)]
        return subprocess.run(client, timeout=60, check=False).returncode


@contextmanager
def server(folder: Path, text: str) -> Iterator[Half]:
    (folder / "half.py").write_text(text)
    (folder / "test_half.py").write_text(TESTS)
    address = folder / "socket"
    command = [sys.executable, "-m", "tests.mutation.server", str(address), "half.py", "2", "-x", "-q", "test_half.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with start(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        try:
            assert not ready["problem"], ready["problem"]
            yield Half(folder / "half.py", address)
        finally:
            process.terminate()


def test_the_tests_run_again_with_the_module_as_it_is_then(tmp_path: Path) -> None:
    """Changes within one second and of one length too, for which Python would load the compiled module."""
    with server(tmp_path, SOUND) as half:
        statuses = [half.status(SOUND), half.status(SOUND.replace("/", "+")), half.status(SOUND.replace("/", "-"))]
        assert statuses == [0, 1, 1]
        assert half.status(SOUND) == 0
        assert half.status(f"{SOUND}\nwhile True: ...\n") == KILLED


def test_tests_that_fail_without_a_mutation_are_shown(tmp_path: Path) -> None:
    """Every mutation would count as noticed."""
    with pytest.raises(AssertionError, match=r"assert 6\.0 == 3"), server(tmp_path, SOUND.replace("/ 2", "/ 1")):
        ...
