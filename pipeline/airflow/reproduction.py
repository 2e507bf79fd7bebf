"""The task of the DAG `reproduce_champion`: the command `reproduce`, whose verdict is that of the task."""

import sys
from typing import Any

from airflow.sdk import BaseOperator, Context

from components.errors import ConfigError, DataRejected, ModelRejected, Unavailable
from components.progress import say
from components.registry.client import CHAMPION
from pipeline.airflow import task_log
from pipeline.airflow.external_python import Child
from pipeline.airflow.project import Project
from pipeline.airflow.task import failures

VERDICTS = {2: ConfigError, 3: DataRejected, 4: ModelRejected}  # by exit status: another try would come to the same


class Reproduce(BaseOperator):
    """Makes the champion again in a process of its own; returns what `reproduce --json` prints."""

    def __init__(self, *, project: Project, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.project = project
        self._child: Child | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        name = self.project.registered_model
        words = ["reproduce", CHAMPION, *([f"--name={name}"] if name else [])]
        with task_log.of_pipeline(), failures(context), self.project.of_task(context["ti"].dag_id):
            self._child = Child(self.project.schedule.python or sys.executable)
            status, answer = self._child.ended(*words)
            sentence = answer.get("sentence", f"reproduce ended with exit status {status}; see the log above")
            if status:
                raise VERDICTS.get(status, Unavailable)(f"the champion was not made again: {sentence}")
            say(f"{answer['grade']}: {sentence}")
        return answer

    def on_kill(self) -> None:
        if self._child:
            self._child.end()
