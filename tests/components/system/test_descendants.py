"""Orphans that a process adopts."""

import subprocess
import sys

# An orphan ends: its parent, a shell, has started it in the background and ended first.
ADOPT = """
import psutil, subprocess, sys, time
from components.system.descendants import adopt_orphans, reap_orphans
adopt_orphans()
kept = subprocess.Popen(["sleep", "0"])
subprocess.run(["sh", "-c", "sleep 0.1 &"], check=True)
end = time.monotonic() + 60
states = lambda: sorted(child.status() for child in psutil.Process().children())
while states() != ["zombie", "zombie"] and time.monotonic() < end:
    time.sleep(0.05)
before = states()
reap_orphans(kept=[kept.pid])
print(before, states(), kept.wait())
"""


def test_an_orphan_that_has_ended_is_reaped_and_a_child_that_is_waited_for_is_not() -> None:
    """Its status is still there for who waits."""
    done = subprocess.run([sys.executable, "-c", ADOPT], capture_output=True, text=True, check=True)
    assert done.stdout == "['zombie', 'zombie'] ['zombie'] 0\n"
