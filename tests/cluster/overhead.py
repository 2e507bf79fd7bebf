"""What a task costs beside its work, on Celery and on LocalExecutor: python -m tests.cluster.overhead [ROUNDS]

Both are up at once and take turns at runs that have nothing to do; told is the time from the trigger to the end of the
run, shared out among its tasks.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from pipeline.graph import STAGES
from tests.cluster.stack import cluster
from tests.dags.served import Served, airflow, digits

FORM = digits(train__epochs=1)


def seconds(served: Served) -> float:
    start = time.monotonic()
    run = served.trigger(FORM)
    served.until(lambda: served.api.get(f"dags/retrain/dagRuns/{run}")["state"] in ("success", "failed"), pause=0.05)
    spent = time.monotonic() - start
    served.succeeded(run)
    return spent


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        homes = [Path(folder, name) for name in ("celery", "local")]
        for home in homes:
            home.mkdir()
        with cluster(homes[0]) as celery, airflow(homes[1]) as local:
            for served in (celery, local):
                seconds(served)  # makes everything
            times = [(seconds(celery), seconds(local)) for _ in range(rounds)]
    for name, spent in zip(("CeleryExecutor", "LocalExecutor"), zip(*times, strict=True), strict=True):
        each = [round(time / len(STAGES), 2) for time in spent]
        print(f"{name}: {statistics.median(each):.2f} s per task (median of {rounds} runs: {min(each)} to {max(each)})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
