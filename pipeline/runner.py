"""Run the stages: reuse the artifacts that exist, make those that do not, judge both alike.

`make pipeline` and Airflow call the same `Runner.run_stage(stage)`. An artifact's name does not depend on who runs it,
so they share artifacts, and a retry, a clear or two runs at once are harmless.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path

from components.data.corrections import Corrections
from components.errors import ArtifactCorrupt, ArtifactMissing, SourceChanged
from components.export.identity import Identity
from components.findings import notes, require, warnings
from components.progress import say
from components.public_text import public
from components.registry.approval import Answer
from components.registry.model_version import ModelVersion
from components.settings.sections import Params
from components.system.environment import environment
from components.system.tensorflow import THREADS
from components.train.distributed.cluster import cluster
from components.train.resolve import planned
from components.train.task import TeacherFile, Watch
from pipeline import corrections as corrected
from pipeline import earlier_images, initial_weights
from pipeline import teacher as teachers
from pipeline.exports import exports_of
from pipeline.graph import STAGES, Facts, StageContext, Verdict, ancestors
from pipeline.home import Home
from pipeline.initial_weights import InitialWeights
from pipeline.registered_files import heal
from pipeline.run_record import Done, Promotion, RunRecord, now
from pipeline.store.artifact import Artifact, Made
from pipeline.store.disk_errors import storage_errors
from pipeline.store.recipe import Recipe, key, recipe_of
from pipeline.tracking import COMMIT_TAG, Tracking

READINGS = 3  # of images that change while they are read
PUBLICATION_SECONDS = 120.0  # for the chief to measure and publish the trained model


class PublishedElsewhere(Exception):
    """Not a failure: this machine's part of a stage is done, and another machine has published the result."""


class Runner:
    """One run's view of the graph: settings, store and registry, and the artifacts so far.

    *verified* are the digests of artifacts whose bytes have just been read; *watch* is called with the history of a
    training after each epoch; *answer* is what a person decided about a request of `promote`. *must_judge_drift* fails
    `validate` where the champion's data are out of reach, since somebody will try again.
    """

    def __init__(
        self,
        params: Params,
        home: Home,
        record: RunRecord,
        *,
        save: Callable[[], None] = lambda: None,
        heal: bool = True,
        verified: Iterable[str] = (),
        watch: Callable[[list[dict[str, float]]], None] | None = None,
        answer: Answer | None = None,
        must_judge_drift: bool = False,
    ) -> None:
        self.params, self.home, self.record, self.save, self.heal = params, home, record, save, heal
        self._open = params  # before the images decide what they leave open
        self._settled_for = self._plan = ""  # the digest of these images, and how the network is trained on them
        self.watch, self.answer = watch, answer
        self.before_making: Callable[[], None] = lambda: None
        os.environ[THREADS] = str(params.train.threads)  # for all that TensorFlow computes in this process
        self.store = home.store
        self.tracking = Tracking(params, home, record, self.artifact, save, must_judge_drift=must_judge_drift)
        self.facts: dict[str, Facts] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._artifacts: dict[str, Artifact] = {}
        self._outdated: set[str] = set()
        self._made: set[str] = set()
        self._verified = set(verified)

    # Artifacts that exist

    @cached_property
    def fingerprint(self) -> str:
        """Identity of the images that the source holds now."""
        from components.ingest import select

        with storage_errors(self.home.root):
            return select.fingerprint(self.params.ingest, self.home.cache)

    @cached_property
    def corrections(self) -> Corrections:
        """The corrections of labels that there are now."""
        return corrected.read(self.params.ingest, self.home)

    @cached_property
    def corrections_digest(self) -> str:
        """Identity of the corrections that the run began with, "" for none."""
        return self.corrections.digest

    def _unchanged_corrections(self) -> Corrections:
        """The corrections that the key of ingest names; raises SourceChanged where there are others by now."""
        if self.corrections.digest != self.corrections_digest:
            raise SourceChanged(f"{self.corrections.file} changed since the run began; run it again")
        return self.corrections

    @cached_property
    def teacher(self) -> ModelVersion | None:
        """The registered version that train.teacher names, the same throughout the run."""
        return teachers.find(self.params, self.tracking.registry)

    def teacher_file(self) -> TeacherFile | None:
        return teachers.file(self.teacher, self.home, self.tracking.registry) if self.teacher else None

    @cached_property
    def weights(self) -> InitialWeights | None:
        """What train.weights names, the same throughout the run."""
        return initial_weights.find(self.params, self.home, self.tracking.registry)

    def recipe(self, stage: str) -> Recipe:
        """The recipe of *stage*; raises ArtifactMissing where a stage that it reads has not run."""
        inputs = {name: self.digest(name) for name in STAGES[stage].reads}
        if stage == "train":
            self._resolve()
        if stage == "train" and self.teacher:
            inputs["teacher"] = self.teacher.model_sha256
        if stage == "train" and self.weights:
            inputs["weights"] = self.weights.sha256
        if stage == "export":
            inputs |= asdict(self.identity())
        if stage == "ingest":
            inputs |= corrected.inputs(self.corrections_digest)
        source = self.fingerprint if stage == "ingest" else ""
        return recipe_of(stage, self.params, inputs, source, cache=self.home.cache)

    def identity(self) -> Identity:
        """What an export says of the model of train; raises ArtifactMissing where the model is not registered."""
        sha256, ingest = self.artifact("train").files["model.keras"], self.params.ingest
        version = self.tracking.registry.registered(self.params.register.name, sha256)
        commit = version.tags.get(COMMIT_TAG, "")
        return Identity(version.name, version.version, commit, ingest.fit, ingest.resize)

    def _resolve(self) -> None:
        """Settle what the images decide about the training, in the settings and in the record of the run."""
        images = self.artifact("normalize")
        if images.digest == self._settled_for:
            return
        train, self._plan = planned(self._open.train, images.path)
        self._settled_for = images.digest
        self.params = replace(self.params, train=train)
        self.record.settings |= public({f"train.{name}": value for name, value in asdict(train).items()})

    def training_plan(self) -> str:
        """How the network is trained on the normalized images, as a sentence; raises ArtifactMissing without them."""
        self._resolve()
        return self._plan

    def digest(self, stage: str) -> str:
        """The digest of the artifact of *stage*; for a stage that acts on the registry, that of the trained model."""
        return self.artifact("train" if STAGES[stage].effect else stage).digest

    def artifact(self, stage: str) -> Artifact:
        """The artifact of *stage* for these settings; raises ArtifactMissing where it has not been made."""
        if artifact := self.find(stage):
            return artifact
        raise ArtifactMissing(
            f"{stage} has not run with these settings; run 'python -m pipeline stage {stage}' first, "
            "or everything with 'make pipeline'"
        )

    def find(self, stage: str) -> Artifact | None:
        """The artifact of *stage*, None where it has not been made; a damaged one is made again."""
        if stage not in self._artifacts:
            try:
                artifact = self.stored(stage, self.recipe(stage))
            except ArtifactCorrupt as error:
                if not self.heal:
                    raise
                artifact = self._heal(stage, error)
            if artifact is None:
                return None
            self._keep(artifact)
        return self._artifacts[stage]

    def stored(self, stage: str, recipe: Recipe) -> Artifact | None:
        """What the store has for *recipe*; raises ArtifactCorrupt where it is damaged, as far as a look shows it."""
        artifact = self.store.get(stage, key(recipe))
        if artifact and artifact.digest not in self._verified:
            self.store.check(artifact, self.home.cache)
        return artifact

    def _keep(self, artifact: Artifact) -> None:
        self._artifacts[artifact.stage] = artifact
        self.facts[artifact.stage] = artifact.facts

    def verify(self, stage: str) -> None:
        """Read every byte of the artifact of *stage*, once a run; a damaged artifact is made again."""
        artifact = self.artifact(stage)
        if artifact.digest in self._verified:
            return
        try:
            self.store.verify(artifact)
            self._verified.add(artifact.digest)
        except ArtifactCorrupt as error:
            self._heal(stage, error)

    def _heal(self, stage: str, error: ArtifactCorrupt) -> Artifact:
        """Make the damaged artifact of *stage* again; what was derived from it is outdated if its bytes differ."""
        say(f"  {str(error).partition(';')[0]}; making {stage} again")
        before = self._artifacts.pop(stage, None)
        recipe = self._settle(stage)
        with self._turn(stage, recipe):
            artifact = self._made_meanwhile(stage, recipe) or self._make(stage, recipe, replace=True)
        if before is None or before.digest != artifact.digest:
            self._outdate(stage)
        if done := self.record.done(stage):
            self._record(replace(_done(artifact, made=True), seconds=done.seconds))
        return artifact

    def _made_meanwhile(self, stage: str, recipe: Recipe) -> Artifact | None:
        """The artifact that another process has made while this one waited for its turn."""
        with suppress(ArtifactCorrupt):
            if artifact := self.store.get(stage, key(recipe)):
                self.store.verify(artifact)
                self._keep(artifact)
                return artifact
        return None

    def _outdate(self, stage: str) -> None:
        """Forget what was derived from the former output of *stage*, and have it run again before anything acts.

        Training again on another processor may come to another model, of which the evaluation, the findings and the
        registered version that are known would be those of the old one.
        """
        for name in STAGES:
            if stage in ancestors(name):
                self._outdated.add(name)
                for known in (self._artifacts, self.facts, self._verdicts, self.record.findings):
                    known.pop(name, None)
                self.record.stages = [done for done in self.record.stages if done.stage != name]

    def _prepare(self, stage: str) -> None:
        """Have all that comes before *stage* whole, up to date and passed by its check; raises its rejection."""
        for name in ancestors(stage):
            if not STAGES[name].effect:
                self.find(name)
            if name in self._outdated:
                self.run_stage(name)
            else:
                self.judge(name)

    def _settle(self, stage: str) -> Recipe:
        """The recipe of *stage*, after every byte that it will read has been verified, and all before it prepared."""
        while True:
            self._prepare(stage)
            for name in STAGES[stage].reads:
                self.verify(name)
                if self._outdated.intersection(ancestors(stage)):
                    break
            else:
                return self.recipe(stage)

    def artifacts(self) -> dict[str, Artifact]:
        """The artifacts that this run made or reused so far, by stage."""
        return {stage: artifact for stage, artifact in self._artifacts.items() if self.record.done(stage)}

    # Making

    def run_stage(self, stage: str, *, force: bool = False) -> Done:
        """Run *stage*: pass its guards, reuse or make its result, judge it. Raises the rejection of its check."""
        start = time.monotonic()
        self._prepare(stage)
        if stage == "train":
            say(f"  {self.training_plan()}")
        with storage_errors(self.home.root):
            done = self._act(stage) if STAGES[stage].effect else self._obtain_latest(stage, force)
        self._outdated.discard(stage)
        done = replace(done, seconds=round(time.monotonic() - start, 3))
        self._record(done)
        self.judge(stage)
        self.save()
        return done

    def _record(self, done: Done) -> None:
        """Put *done* into the record, in the order of the stages."""
        rows = {other.stage: other for other in self.record.stages} | {done.stage: done}
        self.record.stages = [rows[stage] for stage in STAGES if stage in rows]

    def _obtain_latest(self, stage: str, force: bool) -> Done:
        """As `_obtain`; where the images changed while they were read, those that the source holds by then."""
        for _ in range(READINGS - 1 if stage == "ingest" else 0):
            try:
                return self._obtain(stage, force)
            except SourceChanged as error:
                say(f"  {str(error).partition(';')[0]}; reading it again")
                for known in ("fingerprint", "corrections", "corrections_digest"):
                    self.__dict__.pop(known, None)
        return self._obtain(stage, force)

    def _obtain(self, stage: str, force: bool) -> Done:
        before = self.find(stage)
        if before and not force:
            return _done(before, made=stage in self._made)
        recipe = self._settle(stage)
        with self._turn(stage, recipe):
            # another run may have made it while this one waited for the lock
            existing = None if force else self._made_meanwhile(stage, recipe)
            damaged = self.store.path(stage, key(recipe)).exists()
            artifact = existing or self._make(stage, recipe, replace=force or damaged)
        self._keep(artifact)
        if before:
            same = before.digest == artifact.digest
            say(f"  {stage} rebuilt: output {'is identical' if same else 'differs'}")
        return _done(artifact, made=existing is None)

    def _turn(self, stage: str, recipe: Recipe) -> AbstractContextManager[None]:
        """The lock of the artifact; none for a process that assists its maker, which holds the lock meanwhile."""
        return nullcontext() if self._assists(stage) else self.home.lock(f"{stage}-{key(recipe)}")

    def _assists(self, stage: str) -> bool:
        """Whether another machine, the chief of those that TF_CONFIG names, publishes the result of *stage*."""
        return STAGES[stage].assist is not None and cluster(self.params.train.workers).assists

    def _assist(self, stage: str, name: str) -> Artifact:
        """Take part in making, then fetch what the chief publishes; raises PublishedElsewhere if it never arrives."""
        if assist := STAGES[stage].assist:
            assist(self._context(stage))
        say(f"  {stage} is done; waiting for the chief to publish it")
        end = time.monotonic() + PUBLICATION_SECONDS
        while (artifact := self.store.get(stage, name)) is None:
            if time.monotonic() > end:
                raise PublishedElsewhere(
                    f"this machine has done its part of {stage}; the chief's artifact {stage}/{name} is not in "
                    f"{self.store.root}, which the two do not share"
                )
            time.sleep(1)
        self._keep(artifact)
        return artifact

    def _make(self, stage: str, recipe: Recipe, *, replace: bool = False) -> Artifact:
        self.before_making()
        loads = "tensorflow" in STAGES[stage].runtime and "tensorflow" not in sys.modules
        say(f"  {stage} ...{' (loading TensorFlow first takes some seconds)' * loads}")
        name, start, machine = key(recipe), time.monotonic(), environment()  # before libraries add variables of theirs
        if self._assists(stage):
            return self._assist(stage, name)
        work = self.home.work(stage, name)
        with self.store.draft(stage, name) as out, self._watched(stage) as watch:
            facts = STAGES[stage].run(self._context(stage, out=out, work=work, watch=watch, decode_all=replace))
            seconds = round(time.monotonic() - start, 3)
            made: Made = {"at": now(), "run": self.record.run, "seconds": seconds, "environment": machine}
            artifact = self.store.publish(out, recipe, facts, made, replace=replace)
        self.home.clear_work(stage, name)
        self._made.add(stage)
        self._keep(artifact)
        self._verified.add(artifact.digest)
        return artifact

    def _earlier_images(self) -> Path | None:
        return earlier_images.find(self.home.root / "artifacts", self.params.ingest, self.recipe("ingest"))

    @contextmanager
    def _watched(self, stage: str) -> Iterator[Watch | None]:
        """Who is called with the history of a training after each epoch: a search, or MLflow's run."""
        if stage != "train" or self.watch:
            yield self.watch
            return
        with self.tracking.training() as watch:
            yield watch

    def _act(self, stage: str) -> Done:
        """Let a stage act on the registry; it looks for its effect first and does what is missing.

        Its inputs are verified even where it has nothing to do: a damaged model would be another model.
        """
        recipe = self._settle(stage)
        with self.home.lock(f"registry-{self.params.register.name}"), self.tracking.registry.snapshot():
            facts = STAGES[stage].run(self._context(stage))
            self.record.model = self.tracking.model(facts["name"], facts["version"])
            if "outcome" in facts:
                self.record.promotion = _promotion(facts)
        self.facts[stage] = facts
        path = f"models:/{facts['name']}/{facts['version']}"
        return Done(stage, key(recipe), self.digest(stage), path, bool(facts["made"]), 0.0)

    def ask(self) -> Facts:
        """What `promote` would do; where a person has to decide that, they are asked. Nothing else changes."""
        self._prepare("promote")
        self._settle("promote")
        with self.home.lock(f"registry-{self.params.register.name}"), self.tracking.registry.snapshot():
            return STAGES["promote"].run(replace(self._context("promote"), ask_only=True))

    # Judging

    def judge(self, stage: str) -> None:
        """Have the check of *stage* judge what was measured, now or long ago; raises its rejection."""
        check = STAGES[stage].check
        if check is None:
            return
        if stage not in self._verdicts:
            self._verdicts[stage] = check(self._context(stage))
            findings = self._verdicts[stage].findings
            self.record.findings[stage] = findings
            for text in notes(findings):
                say(f"  {text}")
            for text in warnings(findings):
                say(f"  warning: {text}")
        require(*self._verdicts[stage])

    def _context(
        self,
        stage: str,
        *,
        out: Path = Path(),
        work: Path = Path(),
        watch: Watch | None = None,
        decode_all: bool = False,
    ) -> StageContext:
        return StageContext(
            params=self.params,
            path=lambda name: self.artifact(name).path,
            facts=lambda name: self.artifact(name).facts,
            out=out,
            cache=self.home.cache,
            work=lambda: _folder(work),
            logs=lambda: _folder(self.home.logs(key(self.recipe(stage)))),
            fingerprint=lambda: self.fingerprint,
            corrections=self._unchanged_corrections,
            earlier=lambda: None if decode_all else self._earlier_images(),
            identity=self.identity,
            teacher=self.teacher_file,
            weights=lambda: self.weights.file() if self.weights else None,
            watch=watch,
            registry=lambda: self.tracking.registry,
            mlflow_run=self.tracking.run_id,
            tags=self.tracking.tags,
            provenance=self.tracking.provenance,
            heal_versions=lambda: heal(self.home, self.tracking.registry, self.params.register.name),
            champion_statistics=self.tracking.champion_statistics,
            champion_classes=self.tracking.champion_classes,
            judged_models=self.tracking.judged_models,
            champion_evaluation=self.tracking.champion_evaluate,
            exports=lambda: exports_of(self.home, self.tracking.registry),
            promotion_log=self.home.promotions,
            answer=self.answer,
        )


def _done(artifact: Artifact, *, made: bool) -> Done:
    return Done(artifact.stage, artifact.key, artifact.digest, str(artifact.path), made, 0.0)


def _promotion(facts: Facts) -> Promotion:
    promotion: Promotion = {"outcome": facts["outcome"], "reason": facts.get("reason", "")}
    if compared := facts.get("comparison"):
        promotion["champion_accuracy"] = compared["champion_correct"] / compared["n"]
    return promotion


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
