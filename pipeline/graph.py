"""The graph: every stage, what it reads, whose verdict it needs, and how it is called.

    ingest -> validate -> normalize -> train -> evaluate -> register -> export -> promote

A stage *reads* the artifacts whose bytes its own bytes depend on; it comes *after* the stages whose check has to pass
first. The difference is what keeps a changed bound, or a new picture in the data report, from training again.

Stages are plain functions of folders and settings. The adapter of each, below, takes its arguments from the
StageContext and imports it when it is called, so a run with nothing to do imports no stage.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from components.artifact_files import Statistics
from components.errors import PipelineError
from components.export.identity import Identity
from components.findings import Finding, require
from components.settings.sections import Params

if TYPE_CHECKING:
    from components.data.corrections import Corrections
    from components.registry.approval import Answer
    from components.registry.client import Registry
    from components.registry.exports import Exports
    from components.train.task import TeacherFile
    from components.validate.class_changes import ChampionClasses

TENSORFLOW = ("numpy", "tensorflow", "keras")

Facts = Mapping[str, Any]  # what a stage measured while it ran: JSON, kept in the manifest outside the digest


@dataclass(frozen=True)
class StageContext:
    """What the runner offers a stage and its check; values that take work to compute are functions."""

    params: Params
    path: Callable[[str], Path]  # the folder of the artifact of a stage
    facts: Callable[[str], Facts]  # the facts of the artifact of a stage
    out: Path  # the folder that the stage fills
    cache: Path  # for what can be computed or fetched again
    work: Callable[[], Path]  # scratch that outlives a killed process, for checkpoints
    logs: Callable[[], Path]  # TensorBoard's events
    fingerprint: Callable[[], str]  # identity of the source's images
    corrections: Callable[[], "Corrections"]  # of their labels
    earlier: Callable[[], Path | None]  # the artifact of ingest whose images need not be decoded again
    identity: Callable[[], Identity]  # of the model that is exported
    teacher: Callable[[], "TeacherFile | None"]  # the model to distil from
    weights: Callable[[], Path | None]  # the file with the weights to start from
    watch: Callable[[list[dict[str, float]]], None] | None  # called with the history after each epoch
    registry: Callable[[], "Registry"]
    mlflow_run: Callable[[], str]  # id of the MLflow run, created at the first call
    tags: Callable[[], dict[str, str]]  # of a new registered version
    provenance: Callable[[], Mapping[str, bytes]]  # its files that say where it comes from
    heal_versions: Callable[[], None]  # writes files that are gone from the registry again
    champion_statistics: Callable[[], Statistics | None]  # of the images that the champion was trained on
    champion_classes: Callable[[], list[str] | None]  # the names of the classes that the champion knows
    judged_models: Callable[[], int]  # by these test images, the trained one too
    champion_evaluation: Callable[[], Path | None]  # the champion's evaluation on the same test images
    exports: Callable[[], "Exports"]  # of the registered versions, published
    promotion_log: Path
    answer: "Answer | None" = None  # what a person decided about a request of promote
    ask_only: bool = False  # promote asks for a decision where one is needed, and moves nothing


class Verdict(NamedTuple):
    """The findings of a check, and the exception for errors among them."""

    findings: list[Finding]
    rejection: type[PipelineError]


@dataclass(frozen=True)
class Stage:
    run: Callable[[StageContext], Facts]
    check: Callable[[StageContext], Verdict] | None = None
    assist: Callable[[StageContext], None] | None = None  # takes part in a run whose result another machine publishes
    reads: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    runtime: tuple[str, ...] = ()  # distributions whose version can change the bytes
    effect: bool = False  # acts on the registry and leaves no artifact in the store

    @property
    def upstream(self) -> tuple[str, ...]:
        return (*self.reads, *self.after)


def _ingest(context: StageContext) -> Facts:
    from components.ingest.stage import ingest
    from components.validate.check import REJECTION
    from components.validate.class_changes import class_changes

    def accept(classes: list[str]) -> None:
        """Refuse another project's images before they are decoded; warnings are left to the check of validate."""
        known = _champion_classes(context)
        require(list(class_changes(classes, known)) if known else [], REJECTION)

    fingerprint, corrections = context.fingerprint(), context.corrections()
    return ingest(context.out, context.params.ingest, fingerprint, context.cache, accept, corrections, context.earlier)


def _champion_classes(context: StageContext) -> "ChampionClasses | None":
    from components.validate.class_changes import ChampionClasses

    params, classes = context.params, context.champion_classes()
    return ChampionClasses(classes, params.register.name, params.gate.allow_removed_classes) if classes else None


def _check_ingest(context: StageContext) -> Verdict:
    from components.ingest.check import REJECTION, check

    return Verdict(check(context.facts("ingest"), context.params.ingest, context.path("ingest")), REJECTION)


def _validate(context: StageContext) -> Facts:
    from components.validate.stage import validate

    return validate(context.path("ingest"), context.out)


def _check_validate(context: StageContext) -> Verdict:
    from components.validate.check import REJECTION, check
    from components.validate.imbalance import imbalance

    params, validate = context.params, context.path("validate")
    champion, known = context.champion_statistics(), _champion_classes(context)
    drawn = context.facts("ingest").get("test_split")
    findings = check(validate, params.validate, champion, drawn, known)
    return Verdict([*findings, *imbalance(validate, params.train, params.gate)], REJECTION)


def _normalize(context: StageContext) -> Facts:
    from components.normalize.stage import normalize

    return normalize(context.path("ingest"), context.out, context.params.normalize)


def _train(context: StageContext) -> Facts:
    from components.train.stage import train

    return train(
        context.path("normalize"),
        context.out,
        context.work(),
        context.logs(),
        context.params.train,
        teacher=context.teacher(),
        weights=context.weights(),
        watch=context.watch,
    )


def _assist_train(context: StageContext) -> None:
    from components.train.stage import assist

    assist(context.path("normalize"), context.params.train, context.teacher(), context.weights())


def _evaluate(context: StageContext) -> Facts:
    from components.evaluate.stage import evaluate

    normalize, train, ingest = (context.path(stage) for stage in ("normalize", "train", "ingest"))
    return evaluate(normalize, train, context.out, context.params.evaluate, ingest)


def _check_evaluate(context: StageContext) -> Verdict:
    from components.evaluate.check import REJECTION, check

    params, judged = context.params, context.judged_models()
    return Verdict(check(context.path("evaluate"), context.path("train"), params.train, params.gate, judged), REJECTION)


def _register(context: StageContext) -> Facts:
    from components.register.stage import register

    facts = register(
        context.path("normalize"),
        context.path("train"),
        context.path("evaluate"),
        registry=context.registry(),
        name=context.params.register.name,
        mlflow_run=context.mlflow_run,
        tags=context.tags(),
        documents=context.provenance,
    )
    context.heal_versions()
    return facts


def _export(context: StageContext) -> Facts:
    from components.export.stage import export

    normalize, train, evaluate = (context.path(stage) for stage in ("normalize", "train", "evaluate"))
    return export(normalize, train, evaluate, context.out, context.params.export, context.identity())


def _check_export(context: StageContext) -> Verdict:
    from components.export.check import REJECTION, check

    return Verdict(check(context.path("export"), context.params.gate, dict(context.facts("export"))), REJECTION)


def _promote(context: StageContext) -> Facts:
    from components.promote.stage import promote
    from components.registry.client import model_sha256
    from components.registry.promotion_log import person

    train, registry, name = context.path("train"), context.registry(), context.params.register.name
    exports = context.exports()
    if not context.ask_only:
        exports.publish(registry.registered(name, model_sha256(train)), context.path("export"))
    try:
        return promote(
            context.path("normalize"),
            train,
            context.path("evaluate"),
            registry=registry,
            name=name,
            gate=context.params.gate,
            log=context.promotion_log,
            who=person(),
            champion_evaluate=context.champion_evaluation(),
            champion_classes=context.champion_classes(),
            params=context.params.promote,
            answer=context.answer,
            ask_only=context.ask_only,
        )
    finally:
        if not context.ask_only:
            exports.follow(name)


STAGES: dict[str, Stage] = {
    "ingest": Stage(_ingest, check=_check_ingest, runtime=("numpy", "pillow")),
    "validate": Stage(
        _validate,
        check=_check_validate,
        reads=("ingest",),
        runtime=("numpy", "pillow", "matplotlib"),  # matplotlib brings the font of the pictures
    ),
    "normalize": Stage(_normalize, reads=("ingest",), after=("validate",), runtime=("numpy",)),
    "train": Stage(_train, assist=_assist_train, reads=("normalize",), runtime=TENSORFLOW),
    "evaluate": Stage(_evaluate, check=_check_evaluate, reads=("ingest", "normalize", "train"), runtime=TENSORFLOW),
    "register": Stage(_register, reads=("normalize", "train", "evaluate"), effect=True),
    "export": Stage(
        _export,
        check=_check_export,
        reads=("normalize", "train", "evaluate"),
        after=("register",),  # which gives the model its version
        # the form of the training drawings is measured with Pillow; beside it what the formats need (export.writers)
        runtime=(*TENSORFLOW, "pillow"),
    ),
    "promote": Stage(_promote, reads=("normalize", "train", "evaluate", "export"), after=("register",), effect=True),
}


@cache
def ancestors(stage: str) -> tuple[str, ...]:
    """Every stage that comes before *stage*, directly or not, in the order in which they run."""
    before: set[str] = set()
    pending = list(STAGES[stage].upstream)
    while pending:
        name = pending.pop()
        if name not in before:
            before.add(name)
            pending.extend(STAGES[name].upstream)
    return tuple(name for name in STAGES if name in before)


def edges() -> Iterator[tuple[str, str]]:
    """The (from, to) pairs that give the order, without those that a longer path implies: the transitive reduction."""
    for name, stage in STAGES.items():
        for parent in dict.fromkeys(stage.upstream):
            if not any(parent in ancestors(other) for other in stage.upstream if other != parent):
                yield parent, name


def order() -> tuple[str, ...]:
    """The stages in an order in which they can run; raises graphlib.CycleError where there is none."""
    return tuple(TopologicalSorter({name: stage.upstream for name, stage in STAGES.items()}).static_order())
