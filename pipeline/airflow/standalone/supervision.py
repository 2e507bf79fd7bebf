"""Parts that have ended are started again, with growing waits; one that keeps ending is given up, with the reason."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from components.errors import Failure
from components.progress import say
from pipeline.airflow.standalone.processes import Parts

WAITS = (1, 3, 10, 30, 60)  # seconds before each new start within WINDOW; there is no further one
WINDOW = 600  # seconds
FIRST, SPARE = "api-server", "mlflow"  # the part that all others need, and the one that Airflow does without


class Supervision:
    """Watches *parts*, whose commands are *commands*; *answers* says whether the part FIRST serves requests."""

    def __init__(self, parts: Parts, commands: Mapping[str, Sequence[str]], answers: Callable[[], bool]) -> None:
        self._parts = parts
        self._commands = commands
        self._answers = answers
        self._ends: dict[str, list[float]] = defaultdict(list)  # times of the last ends, by part
        self._due: dict[str, float] = {}  # when a part that has ended is started again

    def look(self, now: float) -> list[str]:
        """Start the parts again that are due at the time *now*; returns those that have ended since the last look.

        Raises Failure where Airflow cannot go on.
        """
        ended = self._parts.ended()
        for name in ended:
            self._handle_end(name, now)
        for name in [name for name, time_due in self._due.items() if time_due <= now]:
            if name == FIRST or self._answers():
                self._start(name, now)
        return ended

    def _start(self, name: str, now: float) -> None:
        try:
            self._parts.start(name, self._commands[name])
            del self._due[name]
        except OSError as error:  # a full disk, no memory
            self._due[name] = now + WAITS[-1]
            say(f"{_clock()}  {title(name)} cannot be started ({error.strerror}); it is tried again in {WAITS[-1]} s")

    def _handle_end(self, name: str, now: float) -> None:
        how = self._parts.remove(name)
        ends = self._ends[name] = [*(end for end in self._ends[name] if end > now - WINDOW), now]
        if len(ends) > len(WAITS):
            self._give_up(name, how)
            return
        wait = WAITS[len(ends) - 1]
        self._due[name] = now + wait
        say(f"{_clock()}  {title(name)} {how}; it is started again in {wait} s")

    def _give_up(self, name: str, how: str) -> None:
        """Do without the part; raises Failure where that is impossible."""
        times = f"{len(WAITS) + 1} times within {WINDOW // 60} minutes"
        text = f"{title(name)} has ended {times}, and {how} now; the end of its log:\n{self._parts.last_words(name)}"
        if name != SPARE:
            raise Failure(text)
        say(f"{text}\nAirflow goes on without it; make mlflow starts it")


def _clock() -> str:
    return time.strftime("%H:%M:%S")


def title(name: str) -> str:
    """The part *name* in a sentence."""
    return "MLflow's UI" if name == SPARE else f"Airflow's {name}"
