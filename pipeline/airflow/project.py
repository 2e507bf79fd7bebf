"""One model that Airflow retrains: its settings file, the ids of its DAGs, and the workspace of its tasks.

$PIPELINE_HOME/homes/DAG    the workspace in which a DAG's runs are kept, where it is another one (schedule.home)
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path

from airflow.sdk import Context

from components.errors import ConfigError, Failure
from components.settings.sections import Schedule, words
from components.system.files import expanded, write_atomically
from pipeline import config
from pipeline.airflow.params_form import Values, read_settings, schedule
from pipeline.home import Home
from pipeline.store.disk_errors import storage_errors

Callback = Callable[[Context], None]


@dataclass(frozen=True)
class Project:
    """By default the one whose settings file and workspace the environment names."""

    file: str = ""  # with the settings; "": what $PIPELINE_CONFIG names
    name: str = ""  # what the ids of its DAGs begin with
    settings: Values = field(default_factory=lambda: read_settings(os.devnull)[0], compare=False)
    problem: str = ""  # what is wrong with the settings

    def dag_id(self, dag: str) -> str:
        return f"{self.name}_{dag}" if self.name else dag

    @property
    def schedule(self) -> Schedule:
        return schedule(self.settings)

    @property
    def tags(self) -> list[str]:
        return ["pipeline", *([self.name] if self.name else []), *words(self.schedule.tags)]

    @property
    def registered_model(self) -> str:
        """The model that the runs register, "" where the source decides once it is there; the form may name another."""
        ingest = config.ingest_section(self.settings)
        is_open = ingest.source == config.AUTO and not self.settings["register.name"]
        try:
            return "" if is_open else config.registered_model(self.settings, ingest)
        except Failure:
            return ""

    @contextlib.contextmanager
    def environment(self) -> Iterator[None]:
        """Within the block, of a task or a callback, the environment names this project's settings and workspace."""
        chosen = {"PIPELINE_CONFIG": self.file, "PIPELINE_HOME": self.schedule.home}
        before = {name: os.environ.get(name, "") for name in chosen}
        os.environ.update({name: value for name, value in chosen.items() if value})
        try:
            yield
        finally:
            os.environ.update(before)

    @contextlib.contextmanager
    def of_task(self, dag_id: str) -> Iterator[None]:
        """The environment of a task of *dag_id*; raises ConfigError where its workspace is relative to some folder."""
        _expect_absolute_home()
        with storage_errors(Home.from_environment().root):
            self._mark(_marker(dag_id))
        with self.environment():
            yield

    def _mark(self, marker: Path) -> None:
        """Have *marker* name the workspace, where it is one of its own."""
        if home := self.schedule.home:
            marker.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(marker, home)
        else:
            marker.unlink(missing_ok=True)

    def within(self, callback: Callback) -> Callback:
        """*callback* in the environment of this project."""

        @wraps(callback)
        def called(context: Context) -> None:
            with self.environment():
                callback(context)

        return called


def workspace(settings: Values) -> Home:
    """The workspace of the tasks with these *settings*."""
    home = settings["schedule.home"]
    return Home(Path(home)) if home else Home.from_environment()


def _expect_absolute_home() -> None:
    text = os.environ.get("PIPELINE_HOME", "")
    if not Path(expanded(text)).is_absolute():
        what = f"is {text}, a relative path" if text else "is not set"
        raise ConfigError(
            f"PIPELINE_HOME {what}: each worker would take another folder for the workspace; set it to an absolute "
            "path for all of Airflow's parts"
        )


def _marker(dag_id: str) -> Path:
    return Home.from_environment().root / "homes" / dag_id


def home_of(dag_id: str) -> Home:
    """The workspace in which the runs of *dag_id* are kept."""
    try:
        return Home(Path(_marker(dag_id).read_text()))
    except OSError:
        return Home.from_environment()


def homes() -> list[Home]:
    """Every workspace in which runs are kept."""
    default = Home.from_environment()
    markers = sorted((default.root / "homes").glob("*"))
    return list(dict.fromkeys([default, *(home_of(marker.name) for marker in markers)]))
