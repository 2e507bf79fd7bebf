"""A run with nothing to do: what it loads, in a real process from its first import to its last line."""

import json
import subprocess
import sys
from pathlib import Path

from pipeline.graph import STAGES
from tests.conftest import CLEAN, QUICK, ROOT

HEAVY = {"numpy", "PIL", "tensorflow", "keras", "mlflow", "matplotlib", "scipy", "sklearn", "rich"}
SCRIPT = """
import json, sys
from pipeline.cli.main import main
status = main(sys.argv[1:])
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
sys.exit(status)
"""


def test_a_run_with_nothing_to_do_loads_no_heavy_library_and_no_stage(home: Path) -> None:
    """Eight artifacts are found, three checks judge them and the report is written: no NumPy, no Pillow, no stage."""
    settings = [part for setting in QUICK for part in ("--set", setting)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "run", "--source", "digits", *settings],
        cwd=ROOT,
        env={**CLEAN, "PIPELINE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"nothing to do: all {len(STAGES)} reused" in done.stdout
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert not HEAVY & {name.partition(".")[0] for name in loaded}
    assert not {f"components.{stage}.stage" for stage in STAGES if not STAGES[stage].effect} & loaded
