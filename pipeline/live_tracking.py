"""A training as it goes on, in MLflow: its run from the start, the figures of each epoch, the load of the machine.

A thread talks to MLflow, so that a server that is slow or away neither fails nor delays the training: what it did not
take is sent with the next epoch, and what is left is logged with the rest when the run of the pipeline ends.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from components.errors import Failure
from components.progress import say
from components.registry.client import Registry, answering
from pipeline.mlflow_run import curves, log_curves

FIRST_SECONDS = 10.0  # that a training waits for its MLflow run, so that its page can be opened from the first epoch on
LAST_SECONDS = 5.0  # that a finished training waits for the figures of its last epoch
History = Sequence[Mapping[str, float]]


class LiveTracking:
    """Logs a training to the MLflow run that *open_run* opens; *prefix* precedes the names of the metrics."""

    def __init__(self, registry: Registry, open_run: Callable[[], str], prefix: str = "") -> None:
        self._registry, self._open_run, self._prefix = registry, open_run, prefix
        self._run = ""
        self._history: History = ()
        self._logged = 0  # epochs
        self._news, self._tried, self._ended = threading.Event(), threading.Event(), False
        self._is_late = False  # and what it has not logged is logged when the run ends
        self._has_warned = False
        self._monitor: Any = None

    @contextmanager
    def following(self) -> Iterator[Callable[[History], None]]:
        """Within the block, log the history with which the yielded function is called after each epoch."""
        try:
            # in this thread, for TensorFlow is imported next: two imports at once may see each other half done
            self._registry.client  # noqa: B018 - it imports MLflow
        except Failure as error:
            self._warn(error)
        thread = threading.Thread(target=self._follow, name="MLflow", daemon=True)
        self._news.set()
        thread.start()
        self._tried.wait(FIRST_SECONDS)
        try:
            yield self._watch
        finally:
            self._ended = True
            self._news.set()
            thread.join(LAST_SECONDS)
            self._is_late = thread.is_alive()

    def _watch(self, history: History) -> None:
        self._history = [dict(row) for row in history]
        self._news.set()

    def _follow(self) -> None:
        last = False
        while not last:
            self._news.wait()
            self._news.clear()
            last = self._ended
            try:
                with answering(self._registry.uri):
                    self._log()
            except Exception as error:  # whatever it is, the training goes on
                self._warn(error)
            self._tried.set()
        if self._monitor:
            self._monitor.finish()

    def _log(self) -> None:
        if not self._run:
            self._run = self._open_run()
            self._monitor = self._machine(self._run)
        history = self._history
        if (new := history[self._logged :]) and not self._is_late:
            log_curves(self._registry.client, self._run, curves(new, self._prefix))
            self._logged = len(history)

    def _machine(self, run: str) -> Any:
        """MLflow's own monitor of processors, memory, disks, network and GPUs, started."""
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor = SystemMetricsMonitor(run, resume_logging=True, tracking_uri=self._registry.uri)
        monitor.start()
        return monitor

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            reason = str(error).partition(";")[0] if isinstance(error, Failure) else f"{type(error).__name__}: {error}"
            say(f"  warning: {reason}; the training goes on, and MLflow gets its figures later")
