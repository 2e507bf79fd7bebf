"""The history of the registered models: each promotion, rollback and refusal, with the figures that are still known.

The promotion log says which versions became champion; the records of the runs say which models did not, and why.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from components.registry import promotion_log
from components.registry.approval import OF_APPROVAL
from components.registry.client import Registry
from components.registry.model_version import ModelVersion
from components.registry.promotion_log import Action
from pipeline import measured
from pipeline.home import Home
from pipeline.measured import UNKNOWN, Figures, Measured
from pipeline.mlflow_run import RUN_TAG
from pipeline.run_record import RunRecord, records
from pipeline.store.local import Store

Kind = Literal[
    "promoted",
    "promoted manually",
    "rolled back",
    "moved in MLflow",
    "refused",
    "undecided",
    "left to a user",
    "waiting",
    "approved",
    "rejected",
    "on hold",
    "superseded",
]
OF_ACTION: dict[Action, Kind] = {
    "promote": "promoted",
    "force": "promoted manually",
    "rollback": "rolled back",
    "recovered": "moved in MLflow",
    "ask": "waiting",
    "approve": "approved",
    "reject": "rejected",
    "hold": "on hold",
    "superseded": "superseded",
}
BECAME_CHAMPION = {kind for action, kind in OF_ACTION.items() if action not in OF_APPROVAL}
OF_OUTCOME: dict[str, Kind] = {"undecided": "undecided", "left to a user": "left to a user"}


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happened to the model *name*; what nothing says any more is None, or "".

    *version* became the champion instead of *before*, or was refused; "" where it was refused before it was registered.
    """

    time: str  # UTC, ISO 8601
    name: str
    kind: Kind
    version: str
    before: str | None = None
    figures: Figures = UNKNOWN
    run: str = ""
    who: str = ""
    reason: str = ""


def events(home: Home, registry: Registry, name: str = "") -> list[Event]:
    """What happened to the model *name*, or to every model, the newest first."""
    refusals = list(_refusals(home, name))[::-1]
    # times are whole seconds: of one second, a script's rollback comes before the run that it starts next
    oldest_first = sorted((*_logged(home, registry, name), *refusals), key=lambda event: event.time)
    return oldest_first[::-1]


def _logged(home: Home, registry: Registry, name: str) -> Iterator[Event]:
    """Every move of the alias `champion`, every request for a decision, and what came of it."""
    promotions = promotion_log.read(home.promotions, name or None)
    versions = {(v.name, v.model_sha256): v for model in {p.name for p in promotions} for v in registry.versions(model)}
    for promotion in promotions:
        version = versions.get(
            (promotion.name, promotion.model_sha256), ModelVersion(promotion.name, promotion.version)
        )
        yield Event(
            time=promotion.time.replace("+00:00", "Z"),  # as in the records of the runs
            name=promotion.name,
            kind=OF_ACTION[promotion.action],
            version=promotion.version,
            before=promotion.before,
            run=version.tags.get(RUN_TAG, ""),
            who=promotion.who,
            reason=promotion.reason,
            figures=measured.of_tags(home.store, version.tags).figures(version.accuracy),
        )


def _refusals(home: Home, name: str) -> Iterator[Event]:
    """Every run whose model did not become champion, by a gate or because it could not be decided."""
    for record in records(home):
        kind: Kind | None = (
            "refused" if record.state == "refused" else OF_OUTCOME.get(record.promotion.get("outcome", ""))
        )
        model = str(record.settings.get("register.name", ""))
        if kind and name in ("", model):
            yield Event(
                time=record.finished or record.started,
                name=model,
                kind=kind,
                version=record.model.get("version", ""),
                run=record.run,
                reason=record.error or record.promotion.get("reason", ""),
                figures=_of_run(home.store, record).figures(record.accuracy),
            )


def _of_run(store: Store, record: RunRecord) -> Measured:
    return measured.of_keys(store, {done.stage: done.key for done in record.stages})
