"""Promote: the alias `champion` moves to the challenger unless it is worse on the same test images."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import ArtifactMissing, PromotionRejected
from components.findings import Finding, require
from components.progress import say
from components.promote.champion import Promoted, make_champion, recover
from components.promote.comparison import Comparison, compare, compare_corruption, judge
from components.registry import promotion_log
from components.registry.client import CHAMPION, Registry, model_sha256
from components.registry.model_version import ROLLED_BACK_TAG, ModelVersion
from components.settings.sections import Gate, Promote

if TYPE_CHECKING:  # a run with nothing to do compares nothing: it must not load NumPy
    from components.models.prediction import Probabilities

AUTOMATIC = Promote()


def promote(
    normalize: Path,
    train: Path,
    evaluate: Path,
    registry: Registry,
    name: str,
    gate: Gate,
    log: Path,
    who: str,
    champion_evaluate: Path | None = None,
    params: Promote = AUTOMATIC,
) -> Promoted:
    """Make the registered version of *train* the champion, unless it is worse than the present one.

    *champion_evaluate* is the evaluation of the champion on the same test split, where it is available; otherwise the
    champion is fetched from the registry to predict the split. Where params.automatic is false the alias does not move.
    Raises PromotionRejected with the numbers, or with who rolled back from this model, when and why.
    """
    recover(registry, name, log, who)
    challenger = registry.with_model(name, model_sha256(train))
    if challenger is None:
        raise ArtifactMissing(
            f"{name} has no version of this model; register it first: python -m pipeline stage register"
        )
    champion = registry.alias(name, CHAMPION)
    before = champion.version if champion else None
    facts: Promoted = {"name": name, "version": challenger.version, "before": before, "made": False, "comparison": None}
    if champion and champion.model_sha256 == challenger.model_sha256:
        return facts
    require(_rolled_back(challenger, log), PromotionRejected)
    record, reason = None, "there was no champion before"
    if champion:
        comparison = _compare(champion, champion_evaluate, evaluate, normalize, registry)
        require(judge(comparison, gate), PromotionRejected)
        corruption = compare_corruption(evaluate, champion_evaluate)
        record = asdict(comparison) | ({"corruption": corruption} if corruption else {})
        reason = f"version {challenger.version} has {comparison}"
    if not params.automatic:
        say(f"  left to a user: python -m pipeline promote {challenger.version} --force --reason TEXT")
        return {**facts, "comparison": record, "reason": "left to a user"}
    make_champion(registry, challenger, log, "promote", reason, who, record)
    return {**facts, "made": True, "comparison": record, "reason": reason}


def _rolled_back(version: ModelVersion, log: Path) -> list[Finding]:
    """An error where a user rolled back from this model, by the log, or by the tag where the log was lost."""
    rollback = promotion_log.rolled_back(promotion_log.read(log, version.name)).get(version.model_sha256)
    tag = version.tags.get(ROLLED_BACK_TAG)
    if not rollback and not tag:
        return []
    what = f"{rollback.who} on {rollback.time}: {rollback.reason}" if rollback else tag
    text = (
        f"version {version.version} of {version.name} was rolled back by {what}; it is not promoted automatically "
        f"again, only by python -m pipeline promote {version.version} --force --reason TEXT"
    )
    return [Finding("error", text)]


def _compare(
    champion: ModelVersion, champion_evaluate: Path | None, evaluate: Path, normalize: Path, registry: Registry
) -> Comparison:
    from components.data.splits import Split

    test = normalize / "test"
    theirs = _predictions(champion_evaluate) if champion_evaluate else _predict(registry, champion, test)
    return compare(_predictions(evaluate), theirs, Split(test).labels)


def _predictions(evaluate: Path) -> "Probabilities":
    import numpy as np

    predictions: Probabilities = np.load(evaluate / "predictions.npy", allow_pickle=False)
    return predictions


def _predict(registry: Registry, champion: ModelVersion, folder: Path) -> "Probabilities":
    """The champion's probabilities for the test split in *folder*, from its file in the registry."""
    from components.data.splits import Split
    from components.models.prediction import keras_predictor, predict
    from components.models.saving import read_model

    say(f"  predicting the test images with the champion, version {champion.version}")
    test = Split(folder)
    with tempfile.TemporaryDirectory() as scratch:
        file = registry.model_file(champion, Path(scratch))
        model = read_model(file) if file else None
    if model is None:
        raise _incomparable(champion, "is no Keras archive")
    if tuple(model.input_shape[1:]) != test.shape:
        raise _incomparable(champion, f"takes images of {tuple(model.input_shape[1:])}, not of {test.shape}")
    return predict(keras_predictor(model), test)


def _incomparable(champion: ModelVersion, why: str) -> PromotionRejected:
    return PromotionRejected(
        f"the champion, version {champion.version} of {champion.name}, {why}: the two cannot be compared; decide "
        "manually with python -m pipeline promote VERSION --force --reason TEXT"
    )
