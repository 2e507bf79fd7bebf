"""Run the stages: find what is there, make what is not, judge both alike.

`make pipeline` and Airflow call the same `Runner.run_stage(stage)`. What an artifact is called does not depend on who
runs it, so they share artifacts, and a retry, a clear or two runs at once are harmless.
"""

import importlib
import inspect
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from components.errors import ArtifactCorrupt, ArtifactMissing
from components.findings import Finding, require, warnings
from components.progress import say
from components.registry.readers import ModelVersion
from components.settings.sections import Params
from components.train.distributed.cluster import cluster
from pipeline import teacher as teachers
from pipeline.graph import STAGES, ancestors
from pipeline.home import Home
from pipeline.run_record import Record, now
from pipeline.store import recipe as keys
from pipeline.store.local import Artifact, storage_errors
from pipeline.tracking import Tracking

PUBLICATION = 120.0  # seconds in which a chief has measured and published what was trained


class Elsewhere(Exception):
    """This machine's part of a stage is done, and its result is in a store of another one: no failure."""


@dataclass(frozen=True)
class Done:
    """What became of one stage: *made* is false where an earlier run's result was taken."""

    stage: str
    key: str
    digest: str
    path: str
    made: bool
    seconds: float


class Runner:
    """One run's view of the graph: settings, store and registry, and what was found so far.

    *sound* are the digests of artifacts of which somebody read every byte just now; *watch* is what a training lets see
    its history after each epoch.
    """

    def __init__(
        self,
        params: Params,
        home: Home,
        record: Record,
        *,
        save: Callable[[], None] = lambda: None,
        heal: bool = True,
        sound: Iterable[str] = (),
        watch: Callable[[list[dict[str, float]]], None] | None = None,
    ) -> None:
        self.params, self.home, self.record, self.save, self.heal = params, home, record, save, heal
        self.watch = watch
        self.store = home.store
        self.tracking = Tracking(params, home, record, self.artifact)
        self.facts: dict[str, dict[str, Any]] = {}
        self.findings: dict[str, list[Finding]] = {}
        self._found: dict[str, Artifact] = {}
        self._sound = set(sound)

    # What is there

    @cached_property
    def fingerprint(self) -> str:
        """What identifies the images that the source would give now."""
        from components.ingest.sources import select

        with storage_errors(self.home.root):
            return select.fingerprint(self.params.ingest, self.home.cache)

    @cached_property
    def teacher(self) -> ModelVersion | None:
        """The registered version that train.teacher names; it stays the same to the end of the run."""
        return teachers.find(self.params, self.tracking.registry)

    def teacher_file(self) -> Path | None:
        return teachers.file(self.teacher, self.home, self.tracking.registry) if self.teacher else None

    def recipe(self, stage: str) -> keys.Recipe:
        """The recipe of *stage*; raises ArtifactMissing where a stage that it reads has not run."""
        inputs = {name: self.digest(name) for name in STAGES[stage].reads}
        if stage == "train" and self.teacher:
            inputs["teacher"] = self.teacher.digest
        return keys.recipe(stage, self.params, inputs, self.fingerprint if stage == "ingest" else "")

    def digest(self, stage: str) -> str:
        """The identity of what *stage* made; a stage that acts on the registry stands for the model it acts with."""
        return self.artifact("train" if STAGES[stage].effect else stage).digest

    def artifact(self, stage: str) -> Artifact:
        """The artifact of *stage* for these settings; raises ArtifactMissing where it has not been made."""
        if found := self.find(stage):
            return found
        raise ArtifactMissing(
            f"{stage} has not run with these settings; run 'python -m pipeline stage {stage}' first, "
            "or everything with 'make pipeline'"
        )

    def find(self, stage: str) -> Artifact | None:
        """The artifact of *stage* where it was made; one whose manifest is damaged is made again on the spot."""
        if stage not in self._found:
            recipe = self.recipe(stage)
            try:
                found = self.store.get(stage, keys.key(recipe))
            except ArtifactCorrupt as error:
                if not self.heal:
                    raise
                found = self._heal(stage, error)
            if found is None:
                return None
            self._keep(found)
        return self._found[stage]

    def _keep(self, artifact: Artifact) -> None:
        self._found[artifact.stage] = artifact
        self.facts[artifact.stage] = artifact.facts

    def verify(self, stage: str) -> None:
        """Read every byte of what *stage* made, once a run; a damaged artifact is made again."""
        artifact = self.artifact(stage)
        if artifact.digest in self._sound:
            return
        try:
            self.store.verify(artifact)
            self._sound.add(artifact.digest)
        except ArtifactCorrupt as error:
            self._heal(stage, error)

    def _heal(self, stage: str, error: ArtifactCorrupt) -> Artifact:
        say(f"  {str(error).partition(';')[0]}; making {stage} again")
        self._found.pop(stage, None)
        recipe = self._sound_recipe(stage)
        with self._turn(stage, recipe):
            return self._make(stage, recipe, replace=True)

    def _sound_recipe(self, stage: str) -> keys.Recipe:
        """The recipe of *stage*, once every byte of what it is going to read was found as it was published."""
        for name in STAGES[stage].reads:
            self.verify(name)
        return self.recipe(stage)

    def artifacts(self) -> dict[str, Artifact]:
        """What this run made or took so far, by stage."""
        done = {stage["stage"] for stage in self.record.stages}
        return {stage: found for stage, found in self._found.items() if stage in done}

    # Making

    def run_stage(self, stage: str, *, force: bool = False) -> Done:
        """Do *stage*: pass its guards, take or make its result, judge it. Raises what its check rejects it with."""
        start = time.monotonic()
        for name in ancestors(stage):
            self.judge(name)
        with storage_errors(self.home.root):
            done = self._act(stage) if STAGES[stage].effect else self._obtain(stage, force)
        done = Done(**{**asdict(done), "seconds": round(time.monotonic() - start, 3)})
        self.record.stages = [s for s in self.record.stages if s["stage"] != stage] + [asdict(done)]
        self.save()
        self.judge(stage)
        return done

    def _obtain(self, stage: str, force: bool) -> Done:
        before = self.find(stage)
        artifact = None if force else before
        made = artifact is None
        if artifact is None:
            recipe = self._sound_recipe(stage)
            with self._turn(stage, recipe):
                # another run may have made it while this one waited for the lock
                artifact = None if force else self.store.get(stage, keys.key(recipe))
                made = artifact is None
                artifact = artifact or self._make(stage, recipe, replace=force)
            self._keep(artifact)
            if before:
                say(f"  {stage} was made anew: {'the same' if before.digest == artifact.digest else 'OTHER'} bytes")
        return Done(stage, artifact.key, artifact.digest, str(artifact.path), made, 0.0)

    def _turn(self, stage: str, recipe: keys.Recipe) -> AbstractContextManager[None]:
        """The lock of the artifact; who only assists its maker, which holds the lock and waits for it, takes none."""
        return nullcontext() if self._assists(stage) else self.home.lock(f"{stage}-{keys.key(recipe)}")

    def _assists(self, stage: str) -> bool:
        """Whether another machine, the chief of those that TF_CONFIG names, makes and publishes what *stage* makes."""
        return stage == "train" and cluster(self.params.train.workers).assists

    def _assist(self, stage: str, name: str) -> Artifact:
        """Take part in making, then take what the chief published; raises Elsewhere where this store never has it."""
        self._call(importlib.import_module(f"components.{stage}.stage").assist, stage, {})
        say(f"  {stage} is done; waiting for the chief to publish it")
        end = time.monotonic() + PUBLICATION
        while (found := self.store.get(stage, name)) is None:
            if time.monotonic() > end:
                raise Elsewhere(
                    f"this machine has done its part of {stage}; the chief's artifact {stage}/{name} is not in "
                    f"{self.store.root}, which the two do not share"
                )
            time.sleep(1)
        self._keep(found)
        return found

    def _make(self, stage: str, recipe: keys.Recipe, *, replace: bool = False) -> Artifact:
        say(f"  {stage} ...")
        name, start = keys.key(recipe), time.monotonic()
        if self._assists(stage):
            return self._assist(stage, name)
        work = self.home.work(stage, name)
        with self.store.draft(stage, name) as out:
            function = getattr(importlib.import_module(f"components.{stage}.stage"), stage)
            facts = self._call(function, stage, {"out": lambda: out, "work": lambda: _folder(work)})
            made = {"at": now(), "run": self.record.run, "seconds": round(time.monotonic() - start, 3)}
            artifact = self.store.publish(out, recipe, facts or {}, made, replace=replace)
        self.home.clear_work(stage, name)
        self._keep(artifact)
        self._sound.add(artifact.digest)
        return artifact

    def _act(self, stage: str) -> Done:
        """Let a stage act on the registry; it looks for its effect first and makes what is missing.

        What it reads is verified even where it will have nothing to do: a damaged model is another model to it.
        """
        recipe = self._sound_recipe(stage)
        with self.home.lock(f"registry-{self.params.register.name}"):
            function = getattr(importlib.import_module(f"components.{stage}.stage"), stage)
            facts = self._call(function, stage, self.tracking.providers())
        self.facts[stage] = facts
        self.record.model = self.tracking.model(facts["name"], facts["version"])
        path = f"models:/{facts['name']}/{facts['version']}"
        return Done(stage, keys.key(recipe), self.digest(stage), path, bool(facts["made"]), 0.0)

    # Judging

    def judge(self, stage: str) -> None:
        """Let the check of *stage* judge what was measured, now or long ago; raises what it rejects it with."""
        module = importlib.import_module(f"components.{stage}.stage")
        if not hasattr(module, "check"):
            return
        if stage not in self.findings:
            self.findings[stage] = self._call(module.check, stage, {"training": lambda: self.params.train})
            self.record.findings[stage] = [asdict(finding) for finding in self.findings[stage]]
            self.save()
            for text in warnings(self.findings[stage]):
                say(f"  warning: {text}")
        require(self.findings[stage], module.REJECTION)

    # Parameters are the dependencies: a function gets what the names of its parameters ask for

    def _call(self, function: Callable[..., Any], stage: str, extras: Mapping[str, Callable[[], Any]]) -> Any:
        providers: dict[str, Callable[[], Any]] = {
            "params": lambda: getattr(self.params, stage),
            "gate": lambda: self.params.gate,
            "facts": lambda: self.artifact(stage).facts,
            "fingerprint": lambda: self.fingerprint,
            "logs": lambda: _folder(self.home.logs(keys.key(self.recipe(stage)))),
            "champion": self.tracking.champion_statistics,
            "watch": lambda: self.watch,
            "teacher": self.teacher_file,
            **extras,
        }
        reads = set(STAGES[stage].reads) | {stage}
        arguments = {}
        for name in inspect.signature(function).parameters:
            arguments[name] = self._path(name) if name in reads and name not in providers else providers[name]()
        return function(**arguments)

    def _path(self, stage: str) -> Path:
        return self.artifact(stage).path


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
