"""Attack the pipeline and count what it does not withstand: python -m tests.faults, `make attack`.

Every kind of tests/faults/families.py gets a share of the time; a failure is printed with the command that repeats it.
Prints a table, and exits with status 1 where anything failed.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from components.progress import say
from pipeline.graph import STAGES
from tests.faults.bench import Bench
from tests.faults.families import Family, families

# kind (or its first word) -> share of the time, in parts
WEIGHTS = {"point": 10, "random": 24, "damaged": 20, "fuzzed": 0.25, "hostile": 2}
LABELS = {
    "point": "points",
    "random": "kills",
    "damaged": "damaged files",
    "fuzzed": "fuzzed inputs",
    "hostile": "hostile servers",
}
SECONDS_BETWEEN_LINES = 60.0


@dataclass
class Score:
    """What was tried and what failed, of each kind; shared by the threads."""

    tried: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    turns: dict[str, Iterator[int]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def next(self, of: Sequence[Family], seed: int) -> tuple[Family, int] | None:
        """The next attempt of the kind that has had the least of its share of the time; None where all are over."""
        with self.lock:
            for family in sorted(of, key=lambda each: self.seconds[each.kind] / WEIGHTS[each.kind.split()[0]]):
                turn = self.turns.setdefault(family.kind, family.numbers(seed))
                if (number := next(turn, None)) is not None:
                    self.seconds[family.kind] += 0.1  # the other threads take another one meanwhile
                    return family, number
        return None

    def line(self) -> str:
        """What has been tried so far."""
        with self.lock:
            groups: Counter[str] = Counter()
            for kind, tried in self.tried.items():
                groups[kind.split()[0]] += tried
            parts = [f"{groups[group]:,} {label}" for group, label in LABELS.items() if groups[group]]
            return f"{', '.join(parts) or 'nothing'} tried, {self.failed.total()} failed"

    def table(self) -> str:
        kinds = [*self.tried]
        groups = sorted({kind.split()[0] for kind in kinds}, key=[*WEIGHTS].index)
        rows = [kind for group in groups for kind in kinds if kind.split()[0] == group]
        lines = ["| kind | tried | failed |", "|---|---|---|"]
        lines += [f"| {kind} | {self.tried[kind]:,} | {self.failed[kind]} |" for kind in rows]
        return "\n".join([*lines, f"| all | {self.tried.total():,} | {self.failed.total()} |"])


def attack(bench: Bench, score: Score, seed: int, end: float, only: str = "") -> None:
    """Attempt after attempt on *bench* until *end* (time.monotonic)."""
    kinds = [family for family in families(bench) if only in family.kind]
    while time.monotonic() < end and (turn := score.next(kinds, seed)):
        attempt(bench, score, seed, *turn)


def attempt(bench: Bench, score: Score, seed: int, family: Family, number: int) -> None:
    started = time.monotonic()
    outcome = family.attempt(bench, seed, number)
    with score.lock:
        score.tried[family.kind] += outcome.tried
        score.failed[family.kind] += len(outcome.failures)
        score.seconds[family.kind] += time.monotonic() - started
        for failure in outcome.failures:
            repeat = f"python -m tests.faults --seed {seed} --kind '{family.kind}' --number {number}"
            print(f"FAILED {family.kind}: {failure}\n  {repeat}\n", flush=True)


def _worker(folder: Path, score: Score, options: argparse.Namespace) -> None:
    folder.mkdir()
    with Bench(folder) as bench:
        if not options.kind.startswith(("fuzzed", "hostile")):  # these need no home
            bench.prepare(*STAGES)
        if options.number is None:
            attack(bench, score, options.seed, time.monotonic() + 60 * options.minutes, options.kind)
        else:
            [family] = [family for family in families(bench) if family.kind == options.kind]
            attempt(bench, score, options.seed, family, options.number)


def _follow(jobs: Sequence[Future[None]], score: Score) -> None:
    """Print a line a minute until all *jobs* are done; raises what one of them raised."""
    started, running = time.monotonic(), set(jobs)
    while running:
        _, running = wait(running, timeout=SECONDS_BETWEEN_LINES)
        say(f"{(time.monotonic() - started) / 60:.0f} min: {score.line()}")
    for job in jobs:
        job.result()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()) // 86400)
    parser.add_argument("--kind", default="", metavar="TEXT", help="only the kinds whose name contains it")
    parser.add_argument("--number", type=int, help="only this attempt of a kind, which a failure names")
    parser.add_argument("--jobs", type=int, default=1, help="homes that are attacked at once")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    score = Score()
    with tempfile.TemporaryDirectory(prefix="attack-") as folder, ThreadPoolExecutor(options.jobs) as pool:
        jobs = 1 if options.number is not None else options.jobs
        _follow([pool.submit(_worker, Path(folder, str(job)), score, options) for job in range(jobs)], score)
    print(score.table())
    return 1 if score.failed.total() else 0


if __name__ == "__main__":
    sys.exit(main())
