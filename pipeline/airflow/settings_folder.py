"""A folder of settings files as a DAG bundle of Airflow: one DAG file, and so one import error, for each of them.

A file that is added, changed or removed is noticed while Airflow runs (dag_processor.refresh_interval).
"""

from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.base import BaseDagBundle

from pipeline.airflow.dag_files import write_dag_files


class SettingsFolder(BaseDagBundle):
    """Keyword *folder*: the absolute path of the folder."""

    def __init__(self, *, folder: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._folder = Path(folder)

    @property
    def path(self) -> Path:
        return Path(self.base_dir)

    def initialize(self) -> None:
        self.refresh()
        super().initialize()

    def refresh(self) -> None:
        with self.lock():
            write_dag_files(self._folder, self.path)

    def get_current_version(self) -> None:
        """None: a folder has no versions."""
