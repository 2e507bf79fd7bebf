"""On which queue, pool and pod a task runs."""

import pytest

from components.settings.sections import Schedule
from pipeline.airflow.dag import placement

PLACED = [
    ("train", Schedule(), {}),
    ("evaluate", Schedule(), {}),
    ("train", Schedule(light_queue="light"), {}),
    ("evaluate", Schedule(light_queue="light"), {"queue": "light"}),
    ("train", Schedule(train_queue="gpu", train_pool="one"), {"queue": "gpu", "pool": "one"}),
    ("evaluate", Schedule(train_queue="gpu", train_pool="one", train_pod="/pod.yaml"), {}),
    ("train", Schedule(train_pod="/pod.yaml"), {"executor_config": {"pod_template_file": "/pod.yaml"}}),
]


@pytest.mark.parametrize(("task", "schedule", "expected"), PLACED)
def test_a_task_goes_where_its_own_settings_say(task: str, schedule: Schedule, expected: dict[str, object]) -> None:
    """A training never waits in the queue of the light tasks, whose workers may have neither its memory nor its GPU."""
    assert placement(task, schedule) == expected
