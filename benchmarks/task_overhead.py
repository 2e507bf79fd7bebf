"""The overhead of a task, with Celery and with LocalExecutor: python -m benchmarks.task_overhead [ROUNDS]

Both are up at once, and runs with nothing to do are interleaved on them. The figure is the time from the trigger of a
run to its end, divided by the number of its tasks.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from pipeline.graph import STAGES
from tests.support.airflow_server import Served, airflow, digits
from tests.support.celery_stack import cluster

FORM = digits(train__epochs=1)


def seconds(served: Served) -> float:
    """The time per task of a run with nothing to do."""
    start = time.monotonic()
    served.succeeded(served.trigger(FORM))
    return (time.monotonic() - start) / len(STAGES)


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        homes = [Path(folder, name) for name in ("celery", "local")]
        for home in homes:
            home.mkdir()
        with cluster(homes[0]) as celery, airflow(homes[1]) as local:
            local.api.patch("dags/watch_data", {"is_paused": True})  # it would look every minute
            for served, run in [(served, served.trigger(FORM)) for served in (celery, local)]:
                served.succeeded(run)  # makes everything
            times = []
            for _ in range(rounds):
                times.append((seconds(celery), seconds(local)))
                print("CeleryExecutor {:.2f} s, LocalExecutor {:.2f} s per task".format(*times[-1]), flush=True)
    print("medians: {:.2f} s, {:.2f} s".format(*map(statistics.median, zip(*times, strict=True))))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
