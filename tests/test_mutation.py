"""`make mutate`: what it changes is there, what it calls explained is too, and what survives is counted."""

from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.mutation.__main__ import COPIED, FILES, Result, Survivor, changed_lines, judged
from tests.mutation.targets import EXPLAINED, MODULES

MODULE = "components/metrics.py"
DIFF = """--- mutation diff ---
--- a/components/metrics.py
+++ b/components/metrics.py
@@ -1,3 +1,3 @@
 def share(part: int, whole: int) -> float:
-    return part / whole
+    return part * whole
"""


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
