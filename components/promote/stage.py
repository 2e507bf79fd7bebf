"""Promote: the alias `champion` moves to the challenger unless it is worse on the same test images.

`compare` measures and `judge` decides, from arrays and numbers alone; `promote`, `force` and `rollback` act. The alias
is moved first and the promotion log written second; what a crash leaves between is found and told by the next of them.
"""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import ArtifactMissing, ConfigError, PromotionRejected
from components.findings import Finding, require
from components.progress import say
from components.registry import promotion_log
from components.registry.client import CHAMPION, ROLLED_BACK_TAG, Registry, model_digest
from components.registry.readers import ModelVersion
from components.settings.sections import Gate, Promote

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Probabilities = NDArray[np.float32]
    Labels = NDArray[np.int64]

REJECTION = PromotionRejected
AUTOMATIC = Promote()


@dataclass(frozen=True)
class Comparison:
    """Two models on the same *n* test images; `gained` only the challenger gets right, `lost` only the champion."""

    n: int
    challenger_correct: int
    champion_correct: int
    gained: int
    lost: int
    p: float  # McNemar's exact test, two-sided: how easily chance alone gives a difference like this

    def __str__(self) -> str:
        points = 100 * (self.gained - self.lost) / self.n
        return (
            f"{self.challenger_correct:,} right against the champion's {self.champion_correct:,} of {self.n:,} "
            f"({points:+.2f} points: {self.gained} gained, {self.lost} lost; McNemar's p {self.p:.3g})"
        )


def compare(challenger: "Probabilities", champion: "Probabilities", labels: "Labels") -> Comparison:
    """Count, image by image, which model is right; probabilities are (N, classes), labels (N,)."""
    from components.metrics import discordant, mcnemar

    first, second = challenger.argmax(axis=1), champion.argmax(axis=1)
    gained, lost = discordant(labels, first, second)
    correct = int((first == labels).sum()), int((second == labels).sum())
    return Comparison(len(labels), *correct, gained, lost, mcnemar(gained, lost))


def judge(comparison: Comparison, gate: Gate) -> list[Finding]:
    """An error where the challenger is worse than the champion by more than gate.max_regression."""
    worse = (comparison.lost - comparison.gained) / comparison.n
    if worse <= gate.max_regression:
        return []
    text = (
        f"the challenger has {comparison}; more than {100 * gate.max_regression:.6g} points worse is not promoted "
        "(gate.max_regression)"
    )
    return [Finding("error", text)]


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
) -> dict[str, Any]:
    """Make the registered version of *train* the champion, unless it is worse than the present one.

    *champion_evaluate* is the champion's own evaluation on the same test split, where it is at hand; otherwise the
    champion is fetched from the registry and asked. With params.automatic false it judges and leaves the alias.
    Facts: name, version, before, made, comparison. Raises
    PromotionRejected with the numbers, or with who rolled back from this model, when and why.
    """
    recover(registry, name, log, who)
    challenger = registry.with_digest(name, model_digest(train))
    if challenger is None:
        raise ArtifactMissing(
            f"{name} has no version of this model; register it first: python -m pipeline stage register"
        )
    champion = registry.alias(name, CHAMPION)
    facts = {"name": name, "version": challenger.version, "before": champion.version if champion else None}
    if champion and champion.digest == challenger.digest:
        return facts | {"made": False, "comparison": None}
    require(_rolled_back(challenger, promotion_log.read(log, name)), REJECTION)
    comparison = None
    if champion:
        theirs = _predictions(champion_evaluate) if champion_evaluate else _ask(registry, champion, normalize)
        comparison = compare(_predictions(evaluate), theirs, _labels(normalize))
        require(judge(comparison, gate), REJECTION)
    reason = f"version {challenger.version} has {comparison}" if comparison else "there was no champion before"
    told = asdict(comparison) | _spoilt(evaluate, champion_evaluate) if comparison else None
    if not params.automatic:
        say(f"  left to a person: python -m pipeline promote {challenger.version} --force --reason TEXT")
        return facts | {"made": False, "comparison": told, "reason": "left to a person"}
    _crown(registry, champion, challenger, log, "promote", reason, who, told)
    return facts | {"made": True, "comparison": told, "reason": reason}


def force(registry: Registry, name: str, number: str, reason: str, who: str, log: Path) -> dict[str, Any]:
    """Make version *number* champion because a person says so; takes back a rollback from it."""
    recover(registry, name, log, who)
    version = registry.version(name, number)
    if version is None:
        known = ", ".join(v.version for v in registry.versions(name)) or "none"
        raise ConfigError(f"{name} has no version {number!r}; its versions are: {known} (python -m pipeline models)")
    champion = registry.alias(name, CHAMPION)
    facts = {"name": name, "version": number, "before": champion.version if champion else None}
    if champion and champion.version == number:
        return facts | {"made": False}
    if ROLLED_BACK_TAG in version.tags:
        registry.delete_tag(name, number, ROLLED_BACK_TAG)
    _crown(registry, champion, version, log, "force", reason, who)
    return facts | {"made": True}


def rollback(registry: Registry, name: str, reason: str, who: str, log: Path) -> dict[str, Any]:
    """Give the alias back to the champion before; the version that it leaves is never promoted again by itself."""
    recover(registry, name, log, who)
    champion = registry.alias(name, CHAMPION)
    if champion is None:
        raise ConfigError(f"{name} has no champion to roll back from; see python -m pipeline models")
    before = _before(registry, name, champion, log)
    if before is None:
        raise ConfigError(
            f"{name} has had no champion before version {champion.version}; to crown another one by hand: "
            "python -m pipeline promote VERSION --force --reason TEXT"
        )
    registry.set_tag(name, champion.version, ROLLED_BACK_TAG, f"{who}: {reason}")
    _crown(registry, champion, before, log, "rollback", reason, who)
    return {"name": name, "version": before.version, "before": champion.version, "made": True}


def recover(registry: Registry, name: str, log: Path, who: str) -> promotion_log.Entry | None:
    """Write the line that a crash, or a hand in MLflow, kept out of the log; None where nothing is missing."""
    champion = registry.alias(name, CHAMPION)
    reigns = promotion_log.reigns(promotion_log.read(log, name))
    last = reigns[-1] if reigns else (None, "")
    if champion is None or last == (champion.version, champion.digest):
        return None
    reason = f"the alias pointed at version {champion.version}, the log ended at {last[0] or 'nothing'}"
    return promotion_log.append(log, name, "recovered", last, (champion.version, champion.digest), reason, who)


def _crown(
    registry: Registry,
    before: ModelVersion | None,
    after: ModelVersion,
    log: Path,
    action: promotion_log.Action,
    reason: str,
    who: str,
    comparison: dict[str, Any] | None = None,
) -> None:
    registry.set_alias(after.name, CHAMPION, after.version)
    left = (before.version, before.digest) if before else (None, "")
    promotion_log.append(log, after.name, action, left, (after.version, after.digest), reason, who, comparison)


def _before(registry: Registry, name: str, champion: ModelVersion, log: Path) -> ModelVersion | None:
    """The latest earlier champion that the registry still has, the same model under the same number."""
    there = {(v.version, v.digest): v for v in registry.versions(name)}
    reigns = reversed(promotion_log.reigns(promotion_log.read(log, name)))
    return next((there[r] for r in reigns if r in there and r[0] != champion.version), None)


def _rolled_back(version: ModelVersion, entries: list[promotion_log.Entry]) -> list[Finding]:
    """An error where a person left this model: known by the log, and by the tag where the log was lost."""
    entry = promotion_log.refused(entries).get(version.digest)
    tag = version.tags.get(ROLLED_BACK_TAG)
    if not entry and not tag:
        return []
    told = f"{entry['who']} on {entry['time']}: {entry['reason']}" if entry else tag
    text = (
        f"version {version.version} of {version.name} was rolled back by {told}; it is not promoted again by itself, "
        f"only by python -m pipeline promote {version.version} --force --reason TEXT"
    )
    return [Finding("error", text)]


def _predictions(evaluate: Path) -> "Probabilities":
    import numpy as np

    found: Probabilities = np.load(evaluate / "predictions.npy", allow_pickle=False)
    return found


def _spoilt(evaluate: Path, champion_evaluate: Path | None) -> dict[str, Any]:
    """{"corruption": {"challenger", "champion"}}, {mean, kinds} each; {} unless both saw the same spoilt images."""
    files = [folder / "corruptions.json" for folder in (evaluate, champion_evaluate) if folder]
    found = [json.loads(file.read_text()) for file in files if file.is_file()]
    if len(found) < 2 or found[0]["digest"] != found[1]["digest"]:
        return {}
    kinds = [{kind["name"]: kind["error"] for kind in one["kinds"]} for one in found]
    errors = [{"mean": one["mean_error"], "kinds": by_kind} for one, by_kind in zip(found, kinds, strict=True)]
    return {"corruption": dict(zip(("challenger", "champion"), errors, strict=True))}


def _labels(normalize: Path) -> "Labels":
    from components.data.splits import Split

    return Split(normalize / "test").labels


def _ask(registry: Registry, champion: ModelVersion, normalize: Path) -> "Probabilities":
    """The champion's probabilities for the test split, from its file in the registry."""
    import numpy as np

    from components.data.splits import Split
    from components.models.saving import read_model

    say(f"  asking the champion, version {champion.version}, about the same test images")
    test = Split(normalize / "test")
    with tempfile.TemporaryDirectory() as folder:
        file = registry.model_file(champion, Path(folder))
        model = read_model(file) if file else None
    if model is None or tuple(model.input_shape[1:]) != test.shape:
        what = (
            f"takes images of {tuple(model.input_shape[1:])}, not of {test.shape}" if model else "is no Keras archive"
        )
        raise PromotionRejected(
            f"the champion, version {champion.version} of {champion.name}, {what}: it cannot be compared with; decide "
            "by hand with python -m pipeline promote VERSION --force --reason TEXT"
        )
    return np.concatenate([model.predict_on_batch(images) for images, _ in test.blocks(1000)])
