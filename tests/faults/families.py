"""The kinds of attack, each a numbered series of attempts: the same seed, kind and number do the same."""

import itertools
import json
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pipeline.graph import STAGES
from tests.faults import hostile
from tests.faults.bench import RUN, Bench, contents, digests
from tests.faults.fuzz import BATCH, TARGETS
from tests.faults.injector import MODES

OF_A_FAULT = (0, 1)  # the statuses of a disturbed command: 2 to 4 blame the settings, the data or the model
KILLED = -9
KILLS = 6  # of one home, before it has to recover


@dataclass
class Outcome:
    """What one attempt tried: how many faults, and what went wrong, each with the number that repeats it."""

    tried: int = 1
    failures: list[str] = field(default_factory=list)


class Family(Protocol):
    kind: str

    def numbers(self, seed: int) -> Iterator[int]:
        """The attempts, in the order of *seed*."""

    def attempt(self, bench: Bench, seed: int, number: int) -> Outcome: ...


def outcome(problem: str, tried: int = 1) -> Outcome:
    return Outcome(tried, [problem] if problem else [])


class Points:
    """Every call that changes a file while a stage runs, in each of the four modes."""

    def __init__(self, stage: str, points: int) -> None:
        self.stage, self.kind, self._attempts = stage, f"point in {stage}", points * len(MODES)

    def numbers(self, seed: int) -> Iterator[int]:
        return iter(random.Random(f"{seed} {self.kind}").sample(range(self._attempts), self._attempts))

    def attempt(self, bench: Bench, seed: int, number: int) -> Outcome:
        point, mode = 1 + number // len(MODES), MODES[number % len(MODES)]
        bench.take(self.stage)
        bench.injector.arm(point, mode)
        done = bench.run_stage(self.stage)
        hit = bench.injector.hit
        bench.injector.disarm()
        if not hit:  # this time the stage made fewer calls
            return Outcome(tried=0)
        allowed = (*OF_A_FAULT, KILLED) if mode in ("kill", "torn") else OF_A_FAULT
        problem = done.problem(*allowed) or bench.recovery(self.stage)
        return outcome(f"{mode} at {hit.replace(str(bench.home), '')}: {problem}" if problem else "")


class Kills:
    """kill -9 of a run and all that it started, at random moments, again and again in one home."""

    kind = "random kill"

    def numbers(self, seed: int) -> Iterator[int]:
        return itertools.count()

    def attempt(self, bench: Bench, seed: int, number: int) -> Outcome:
        """Up to KILLS kills, then a run that has to recover; tried are the kills that hit a run."""
        rng = random.Random(f"{seed} {self.kind} {number}")
        first = rng.randrange(len(STAGES))
        bench.take([*STAGES][first])
        hits, seconds = 0, sum(bench.seconds[stage] for stage in [*STAGES][first:])
        for _ in range(KILLS):
            done = bench.command(*RUN, kill_after=seconds * rng.random())
            if problem := done.problem(0, KILLED):
                return outcome(problem, hits + 1)
            if done.status == 0:
                break
            hits += 1
        return outcome(bench.recovery(), hits)


def flip(file: Path, rng: random.Random) -> None:
    content = bytearray(file.read_bytes())
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def truncate(file: Path, rng: random.Random) -> None:
    with file.open("r+b") as opened:
        opened.truncate(rng.randrange(max(file.stat().st_size, 1)))


def delete(file: Path, rng: random.Random) -> None:
    file.unlink()


DAMAGES: tuple[Callable[[Path, random.Random], None], ...] = (flip, truncate, delete)

# What is read again, or served: it must not stay damaged unnoticed. Caches are made again, pictures shown.
PROTECTED = re.compile(r"artifacts/(?!\.leases/)|exports/|mlartifacts/models/")


class Damages:
    """Every file of a finished home: a bit flipped, cut off, deleted."""

    kind = "damaged file"

    def __init__(self, bench: Bench) -> None:
        self._before = contents(bench.folder / "before" / "end")
        self._files = [name for name in self._before if (bench.folder / "before" / "end" / name).is_file()]

    def numbers(self, seed: int) -> Iterator[int]:
        attempts = len(self._files) * len(DAMAGES)
        return iter(random.Random(f"{seed} {self.kind}").sample(range(attempts), attempts))

    def attempt(self, bench: Bench, seed: int, number: int) -> Outcome:
        name, damage = self._files[number // len(DAMAGES)], DAMAGES[number % len(DAMAGES)]
        bench.take("end")
        damage(bench.home / name, random.Random(f"{seed} {self.kind} {number}"))
        damaged = contents(bench.home).get(name)
        if damaged == self._before[name]:  # an empty file
            return Outcome(tried=0)
        problem = self._problem(bench, name, damaged)
        return outcome(f"{damage.__name__} {name}: {problem}" if problem else "")

    def _problem(self, bench: Bench, name: str, damaged: str | None) -> str:
        verified = bench.command("verify")
        done = bench.command(*RUN)
        if problem := verified.problem(0, 1) or done.problem(0, 1):
            return problem
        if done.status == 0 and digests(done.out) != bench.digests:
            return "the next run ended in other artifacts"
        remains = PROTECTED.match(name) and contents(bench.home).get(name) == damaged
        if remains and done.status == 0 and verified.status == 0 and bench.command("verify").status == 0:
            return "neither the next run nor verify noticed it"
        return ""


class Fuzz:
    """Inputs of one kind, changed at random."""

    def __init__(self, target: str) -> None:
        self.target, self.kind = target, f"fuzzed {target}"

    def numbers(self, seed: int) -> Iterator[int]:
        return itertools.count(0, BATCH)

    def attempt(self, bench: Bench, seed: int, number: int) -> Outcome:
        """The inputs *number* to *number* + BATCH."""
        return _batch(bench, BATCH, "fuzz:fuzz", self.target, seed, number, str(bench.home))


class Hostile:
    """Servers of one kind that answer what none should."""

    def __init__(self, target: str) -> None:
        self.target, self.kind = target, f"hostile {target}"

    def numbers(self, seed: int) -> Iterator[int]:
        return itertools.count(0, hostile.BATCH)

    def attempt(self, bench: Bench, seed: int, number: int) -> Outcome:
        """The attempts *number* to *number* + BATCH."""
        upstream = bench.server(hostile.TARGETS[self.target].upstream)
        return _batch(bench, hostile.BATCH, "hostile:attack", self.target, seed, number, str(bench.home), upstream)


def _batch(bench: Bench, size: int, function: str, *arguments: Any) -> Outcome:
    """*size* attempts in one process, which prints what failed."""
    shutil.rmtree(bench.home, ignore_errors=True)
    bench.home.mkdir()
    done = bench.call(f"tests.faults.{function}", *arguments)
    if problem := done.problem(0):
        return outcome(problem, size)
    return Outcome(size, json.loads(done.out.splitlines()[-1]))


def families(bench: Bench) -> list[Family]:
    """All kinds, of the stages that *bench* prepared."""
    points = [Points(stage, len(calls)) for stage, calls in bench.points.items()]
    of_runs: list[Family] = [*points, Kills(), Damages(bench)] if points else []
    return [*of_runs, *map(Fuzz, TARGETS), *map(Hostile, hostile.TARGETS)]
