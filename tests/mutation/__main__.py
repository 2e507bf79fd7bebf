"""Whether the tests notice a change of the code: python -m tests.mutation [MODULE...], `make mutate`.

Each module of tests/mutation/targets.py is changed in one place after another, by cosmic-ray
(https://cosmic-ray.readthedocs.io), and its tests are run. A mutation that they do not notice survives; each is printed
with its line. All happens in copies of the project below the temporary folder. Prints a table, and exits with status 1
where more than MOST of the mutations of a module survive.
"""

import argparse
import json
import os
import queue
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pipeline  # noqa: F401 - sets the variables that libraries read when they are imported
from tests.mutation.targets import LEFT_OUT, MODULES, explained
from tests.support.ended_with_us import supervised
from tests.support.locked_environment import locked_environment

ROOT = Path(__file__).parents[2]
LOCK = Path(__file__).with_name("requirements.lock")
COPIED = ("components", "pipeline", "serving", "benchmarks", "dags", "docker", "tests", "docs")
FILES = ("README.md", "Makefile", "pyproject.toml", "requirements.lock")
MOST = 0.03  # of the mutations of a module may survive
SHORTEST = 10  # seconds that the tests of a module may always take
LONGEST = 3600  # seconds; the server ends tests that do not end by themselves, long before
CONFIG = """\
[cosmic-ray]
module-path = {module}
timeout = {seconds}
excluded-modules = []
test-command = {command}
distributor.name = "local"
filters.operators-filter.exclude-operators = {left_out}
"""


@dataclass(frozen=True)
class Survivor:
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.line}: {self.before}  ->  {self.after}"


@dataclass
class Result:
    module: str
    mutations: int = 0
    seconds: float = 0.0
    survivors: list[Survivor] = field(default_factory=list)
    explained: int = 0

    @property
    def share(self) -> float:
        return len(self.survivors) / self.mutations if self.mutations else 0.0

    def row(self) -> str:
        return (
            f"| `{self.module}` | {self.mutations} | {len(self.survivors)} | {self.share:.1%} | {self.explained} "
            f"| {self.seconds:.0f} |"
        )


def copy_project(folder: Path) -> Path:
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    return folder


def mutate(module: str, project: Path, programs: Path) -> Result:
    """Try every mutation of *module* in the copy *project*."""
    started, config, session = time.monotonic(), project / "mutation.toml", project / "mutation.sqlite"
    address = project / "mutation.socket"
    client = shlex.join([sys.executable, "-IS", "tests/mutation/client.py", str(address)])
    quoted = {"module": module, "command": client, "left_out": list(LEFT_OUT)}
    config.write_text(CONFIG.format(seconds=LONGEST, **{name: json.dumps(value) for name, value in quoted.items()}))
    for left in (session, address):
        left.unlink(missing_ok=True)

    def call(program: str, *arguments: str) -> str:
        command = _supervised([str(programs / program), *arguments], project)
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{program} failed for {module}: {(done.stderr or done.stdout).strip()[-1000:]}")
        return done.stdout

    call("cosmic-ray", "init", str(config), str(session))
    call("cr-filter-operators", str(session), str(config))
    with _test_server(module, project, address):
        call("cosmic-ray", "exec", str(config), str(session))
    result = judged(module, map(json.loads, call("cosmic-ray", "dump", str(session)).splitlines()))
    result.seconds = time.monotonic() - started
    return result


@contextmanager
def _test_server(module: str, project: Path, address: Path) -> Iterator[None]:
    """The server that runs the tests of *module*; raises SystemExit where they fail without a mutation."""
    command = [sys.executable, "-m", "tests.mutation.server", str(address), module, str(SHORTEST)]
    command += ["-x", "-q", "-p", "no:cacheprovider", *MODULES[module]]
    with subprocess.Popen(_supervised(command, project), cwd=project, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            problem = json.loads(server.stdout.readline() or '{"problem": "no answer"}')["problem"]
            if problem:
                raise SystemExit(f"the tests of {module} fail without a mutation; repair them first:\n{problem}")
            yield
        finally:
            server.terminate()


def _supervised(command: list[str], project: Path) -> list[str]:
    return supervised(command, then=f"rm -rf {shlex.quote(str(project.parent))}")


def judged(module: str, dumped: Iterable[Any]) -> Result:
    """What became of the mutations that `cosmic-ray dump` prints, those left out excepted."""
    result = Result(module)
    for item, outcome in dumped:
        if outcome is None or outcome["worker_outcome"] == "skipped":
            continue
        result.mutations += 1
        if outcome["test_outcome"] != "survived":
            continue
        before, after = changed_lines(outcome["diff"])
        if explained(module, after):
            result.explained += 1
        else:
            result.survivors.append(Survivor(item["mutations"][0]["start_pos"][0], before, after))
    result.survivors.sort(key=lambda survivor: survivor.line)
    return result


def changed_lines(diff: str) -> tuple[str, str]:
    """The lines that a unified *diff* takes away and those that it adds, without indentation."""
    body = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    return tuple(" ".join(line[1:].strip() for line in body if line.startswith(sign)) for sign in "-+")  # type: ignore[return-value]


def results(modules: Iterable[str], jobs: int) -> Iterator[Result]:
    """The results as they come, *jobs* modules at a time, each in a copy of the project."""
    programs = locked_environment("mutation", LOCK)
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder, ThreadPoolExecutor(jobs) as pool:
        copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(jobs):
            (Path(folder) / str(number)).mkdir()
            copies.put(copy_project(Path(folder) / str(number)))

        def run(module: str) -> Result:
            project = copies.get()
            try:
                return mutate(module, project, programs)
            finally:
                copies.put(project)

        yield from (done.result() for done in as_completed([pool.submit(run, module) for module in modules]))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"one of {', '.join(MODULES)}; all of them")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 4), help="modules at a time")
    arguments = parser.parse_args()
    if unknown := set(arguments.modules) - MODULES.keys():
        parser.error(f"{', '.join(sorted(unknown))}: expected some of {', '.join(MODULES)}")
    done = []
    for result in results(arguments.modules or MODULES, arguments.jobs):
        done.append(result)
        print(f"{result.module}: {len(result.survivors)} of {result.mutations} survive", file=sys.stderr, flush=True)
        for survivor in result.survivors:
            print(f"  {result.module}:{survivor}", file=sys.stderr, flush=True)
    print("| module | mutations | survive | share | explained | seconds |\n|---|---|---|---|---|---|")
    print("\n".join(result.row() for result in done))
    return int(any(result.share > MOST for result in done))


if __name__ == "__main__":
    sys.exit(main())
