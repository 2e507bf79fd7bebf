"""The layout of the workspace.

$PIPELINE_HOME/              default ./workspace
  artifacts/STAGE/KEY/       artifacts (pipeline/store/local.py); with PIPELINE_STORE, copies of them
  runs/RUN/                  run.json and report.html of each run
  promotions.jsonl           history of the alias champion: who moved it, when, from, to, why
  corrections/NAME.jsonl     corrected labels of a data set (components/data/corrections.py)
             NAME-pictures/  pictures that users called wrong, once a review has decided their class
  notifications.jsonl        what Airflow reported (pipeline/airflow/notifications.py)
  disk.jsonl                 the size of the workspace after each housekeeping (pipeline/housekeeping.py)
  mlflow.db  mlartifacts/    the registry, unless MLFLOW_TRACKING_URI names a server
  serving/                   the server's request log, and what its users and the challenger answered (serving/)
  exports/NAME/VERSION/      the files of a registered version, to be served (components/registry/exports.py)
  tensorboard/KEY/           events of each training
  tune/STUDY.*               searches (pipeline/tuning/); find-lr-RUN/ range tests of the learning rate
  work/STAGE-KEY/            checkpoints that a killed stage resumes from; removed when it finishes
  airflow/                   Airflow's database, logs and login, where `make airflow` runs it
  cache/  locks/             hashes of images and code; one lock per artifact being made
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import StorageFailed
from components.registry.database import address_of
from components.system import locks
from components.system.files import expanded, file_name
from pipeline.store.disk_errors import storage_errors

if TYPE_CHECKING:
    from pipeline.store.local import Store


@dataclass(frozen=True)
class Home:
    root: Path

    @classmethod
    def from_environment(cls) -> "Home":
        return cls(Path(expanded(os.environ.get("PIPELINE_HOME") or "workspace")).absolute())

    @property
    def store(self) -> "Store":
        folder, url = self.root / "artifacts", os.environ.get("PIPELINE_STORE")
        if not url:
            from pipeline.store.local import Store

            return Store(folder)
        from pipeline.store.bucket import SharedStore

        return SharedStore(folder, url)

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def shadow(self) -> Path:
        return self.root / "serving" / "shadow"

    @property
    def corrections(self) -> Path:
        return self.root / "corrections"

    @property
    def promotions(self) -> Path:
        return self.root / "promotions.jsonl"

    @property
    def tracking_uri(self) -> str:
        return os.environ.get("MLFLOW_TRACKING_URI", "").strip() or address_of(self.root / "mlflow.db")

    @property
    def airflow(self) -> Path:
        return self.root / "airflow"

    @property
    def tuning(self) -> Path:
        return self.root / "tune"

    def work(self, stage: str, key: str) -> Path:
        return self.root / "work" / f"{stage}-{key}"

    def logs(self, key: str) -> Path:
        return self.root / "tensorboard" / key

    def prepare(self) -> None:
        """Create the workspace; raises StorageFailed where that is impossible."""
        with storage_errors(self.root):
            try:
                for folder in (self.root / "artifacts", self.runs, self.cache, self.root / "locks"):
                    folder.mkdir(parents=True, exist_ok=True)
            except (FileNotFoundError, FileExistsError) as error:  # in /proc, or where a file or a dead link is
                raise StorageFailed(
                    f"the workspace {self.root} cannot be created ({error.filename}: {error.strerror}); set "
                    "PIPELINE_HOME to another folder"
                ) from error

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock *name*, waiting while another process has it; the system frees it when its holder dies.

        It saves work: two runs do not train the same model at once. Correctness does not depend on it but on the store.
        """
        with storage_errors(self.root):
            self.prepare()
            handle = os.open(self.root / "locks" / file_name(name), os.O_RDWR | os.O_CREAT)
        try:
            locks.acquire(handle, name)
            yield
        finally:
            os.close(handle)

    def clear_work(self, stage: str, key: str) -> None:
        shutil.rmtree(self.work(stage, key), ignore_errors=True)
