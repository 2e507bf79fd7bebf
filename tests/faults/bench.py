"""A home to attack: prepared once per stage, run in, and compared with the home of an undisturbed run."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from components.errors import Failure
from components.progress import say
from components.system.processes import end_with_parent
from pipeline.graph import STAGES
from tests.conftest import CLEAN, QUICK, ROOT
from tests.faults.healthy_servers import SERVERS
from tests.faults.injector import Injector

SETTINGS = [part for setting in QUICK for part in ("--set", setting)]
RUN = ["run", "--json", "--source", "digits", *SETTINGS]
DRAFTS = ("artifacts/*/.draft-*", "exports/*/.draft-*")
DATABASE = "MLflow's database"  # created before the first stage, here: by itself it takes thousands of calls
TRACEBACK = re.compile(r"^.*Traceback \(most recent call last\)", re.MULTILINE)
REFUSAL = re.compile(r"^error: .+", re.MULTILINE)
SILENCE = 30.0  # seconds
TEXT = 600  # characters of a command's errors that are quoted


@dataclass
class Answer:
    """What became of a command."""

    status: int
    out: str
    err: str
    seconds: float
    silent: bool
    left: int
    memory: int

    def problem(self, *allowed: int) -> str:
        """What is wrong with the way the command ended, empty for nothing; *allowed* are the right statuses."""
        if self.silent:
            return f"a hang: no word for {SILENCE:.0f} s; {self.err[-TEXT:]}"
        if TRACEBACK.search(self.err):
            return f"a traceback: {self.err[-2 * TEXT :]}"
        if self.left:
            return f"{self.left} processes were left behind"
        if self.status not in allowed:
            return f"exit status {self.status}: {self.err[-TEXT:]}"
        if self.status > 0 and not REFUSAL.search(self.err) and not self.out:
            return f"exit status {self.status} without an error: {self.err[-TEXT:]}"
        return ""


class Bench:
    """A folder with one home at a time, a process that runs commands in it, and snapshots of the home.

    FOLDER/
      home/              attacked; always of this path, which MLflow's database holds
      before/STAGE/      the home as an undisturbed run leaves it before STAGE
      before/end/        ... and at its end
    """

    def __init__(self, folder: Path, silence: float = SILENCE) -> None:
        """*silence* is the number of seconds without a word that are a hang."""
        self.folder, self._silence = folder.resolve(), silence
        self.home = self.folder / "home"
        self.injector = Injector(self.folder, self.home)
        self.digests: dict[str, str] = {}  # stage -> digest of an undisturbed run
        self.seconds: dict[str, float] = {}  # that each stage takes
        self._healthy, self._addresses = ExitStack(), dict[str, str]()
        self.points: dict[str, list[tuple[str, str]]] = {}  # of each stage: call and path

    def __enter__(self) -> Self:
        (self.folder / "server").mkdir()
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.command_server", self.folder / "server", str(self._silence)],
            cwd=ROOT,
            # an export names its commit, and the repository may get another one meanwhile
            env={**CLEAN, **self.injector.environment, "GIT_DIR": os.devnull},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - sets one flag of the child
        )
        assert self._server.stdout
        assert self._server.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()
        self._healthy.close()

    def server(self, kind: str) -> str:
        """The address of the healthy server of *kind*, a name of healthy_servers.SERVERS; "" for "", which is none."""
        if kind and kind not in self._addresses:
            folder = self.folder / kind
            folder.mkdir()
            self._addresses[kind] = self._healthy.enter_context(SERVERS[kind](folder))
        return self._addresses.get(kind, "")

    def command(self, *arguments: str, kill_after: float | None = None) -> Answer:
        """A command of the pipeline on the home."""
        return self._answer({"arguments": arguments, "home": str(self.home), "kill_after": kill_after})

    def call(self, function: str, *arguments: Any) -> Answer:
        """`module:name` of texts and numbers; what it returns is the status."""
        return self._answer({"function": function, "arguments": arguments, "home": str(self.home)})

    def _answer(self, request: dict[str, Any]) -> Answer:
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return Answer(**json.loads(self._server.stdout.readline()))

    def run_stage(self, stage: str) -> Answer:
        """A run up to *stage*, or the creation of MLflow's database."""
        if stage == DATABASE:
            return self.call("tests.faults.bench:create_database")
        return self.command(*RUN, "--until", stage)

    def prepare(self, *stages: str) -> None:
        """Run *stages*, the first ones of a run, undisturbed: their digests, points, and the homes before them."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        for stage in (DATABASE, *stages):
            self._keep(stage)
            self.injector.record()
            done = self.run_stage(stage)
            self.points[stage] = self.injector.recorded()
            assert done.status == 0, done.err
            self.seconds[stage] = done.seconds
            self.digests.update(digests(done.out) if stage != DATABASE else {})
        self._keep("end")

    def _keep(self, name: str) -> None:
        shutil.copytree(self.home, self.folder / "before" / name, symlinks=True)

    def take(self, name: str) -> None:
        """Put the home before the stage *name* (or "end") in the place of the home."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.folder / "before" / name, self.home, symlinks=True)

    @cached_property
    def last(self) -> str:
        return list(self.digests)[-1]

    def recovery(self, until: str = "") -> str:
        """Run up to *until* as a user would after a fault; what differs from an undisturbed run, empty for nothing."""
        stage = until or self.last
        if stage == DATABASE:
            return self._database_problem()
        done = self.command(*RUN, "--until", stage)
        if problem := done.problem(0):
            return f"the next run: {problem}"
        expected = {name: self.digests[name] for name in list(STAGES)[: list(STAGES).index(stage) + 1]}
        now = digests(done.out)
        if others := [name for name in expected if now.get(name) != expected[name]]:
            return f"the next run ended in other artifacts: {', '.join(others)}"
        if problem := self.command("verify").problem(0):
            return f"verify after the next run: {problem}"
        if drafts := [path for pattern in DRAFTS for path in self.home.glob(pattern)]:
            return f"the next run left drafts: {drafts}"
        return self._registry_problem(stage)

    def _database_problem(self) -> str:
        """What is wrong with a database that is created, or completed, after a fault."""
        if problem := self.run_stage(DATABASE).problem(0):
            return f"the next creation: {problem}"
        done = self.command("models", "--json")
        return done.problem(0) or ("" if json.loads(done.out) == [] else f"models: {done.out[-TEXT:]}")

    def _registry_problem(self, stage: str) -> str:
        """What is wrong with the registered versions after *stage*."""
        if list(STAGES).index(stage) < list(STAGES).index("register"):
            return ""
        done = self.command("models", "--json")
        if problem := done.problem(0):
            return f"models: {problem}"
        versions = [(version["version"], version["aliases"]) for version in json.loads(done.out)]
        alias = "champion" if stage == "promote" else "challenger"
        if len(versions) != 1 or alias not in versions[0][1]:
            return f"the registry has {versions}, not one version with the alias {alias}"
        return ""


def create_database() -> int:
    """MLflow's database of the home; the status of a command."""
    from components.registry.client import Registry
    from pipeline.home import Home
    from pipeline.store.disk_errors import storage_errors

    home = Home.from_environment()
    try:
        with storage_errors(home.root):
            home.prepare()
            assert Registry(home.tracking_uri).client
    except Failure as error:
        say(f"error: {error}")
        return error.exit_code
    return 0


def digests(answer: str) -> dict[str, str]:
    """Stage -> digest, of the JSON of a run."""
    return {stage["stage"]: stage["digest"] for stage in json.loads(answer)["stages"]}


def contents(folder: Path) -> dict[str, str]:
    """Relative path -> sha256 of every file below *folder*."""
    files = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files)}
