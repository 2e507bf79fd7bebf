"""The run that makes a version again: in a process of its own, with its code, packages, settings and workspace."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.system.environment import is_recorded
from components.system.processes import end_with_parent
from pipeline.home import Home
from pipeline.reproduce.recorded import Recorded
from pipeline.run_record import records
from pipeline.store.artifact import Artifact
from pipeline.store.local import Store

# of this process, which would lead the run elsewhere
FOREIGN = ("PIPELINE_", "MLFLOW_", "AIRFLOW_", "TF_CONFIG", "PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")


@dataclass(frozen=True)
class Run:
    """How to run the code in *code*: its interpreter, settings file, workspace, and the folder of a user's networks."""

    python: Path
    code: Path
    settings: Path
    home: Home
    networks: Path
    variables: Mapping[str, str]

    def until(self, stage: str) -> "Outcome":
        """Run every stage up to *stage*; progress goes to the standard error."""
        command = [str(self.python), "-m", "pipeline", "run", "--config", str(self.settings), "--until", stage]
        done = subprocess.run(
            command,
            cwd=self.code,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            preexec_fn=end_with_parent,
            check=False,
        )
        return Outcome(done.returncode, *self._results())

    def _environment(self) -> dict[str, str]:
        kept = {name: v for name, v in os.environ.items() if not name.startswith(FOREIGN) and not is_recorded(name)}
        paths = {"PIPELINE_HOME": str(self.home.root), "PYTHONPATH": str(self.networks)}
        return {**kept, **self.variables, **paths}

    def _results(self) -> tuple[dict[str, Artifact], str]:
        """The artifacts of the last run by stage, and what ended it early."""
        known = records(self.home)
        if not known:
            return {}, "it did not begin"
        store = Store(self.home.root / "artifacts")
        found = {done.stage: store.get(done.stage, done.key) for done in known[0].stages}
        return {stage: artifact for stage, artifact in found.items() if artifact}, known[0].error


@dataclass(frozen=True)
class Outcome:
    """How a run ended: exit status, its artifacts by stage, and what ended it early."""

    status: int
    made: Mapping[str, Artifact]
    error: str


def variables(recorded: Recorded) -> dict[str, str]:
    """Those by which TensorFlow and others chose how to compute, as they were when the training ran."""
    train: Mapping[str, Any] = recorded.stages["train"].environment
    return dict(train.get("variables", {}))
