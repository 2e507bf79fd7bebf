"""Promotion: judged on the same test images, done once."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components.data.classes import ClassChange
from components.errors import ArtifactCorrupt, ArtifactMissing, PromotionRejected
from components.findings import errors, warnings
from components.metrics import mcnemar
from components.progress import said_to
from components.promote.comparison import Comparison, compare, judge
from components.promote.predictions import Predictions
from components.promote.stage import promote
from components.register.stage import register
from components.registry import promotion_log
from components.registry.client import CHAMPION, Registry
from components.settings.sections import Gate
from tests.components.conftest import Trained, new_run
from tests.support.registry_bench import IMAGES, NAME, WHO, Bench, predictions

PETS = ["cat", "dog"]


def test_models_are_compared_image_by_image() -> None:
    """Gained and lost images are counted separately: two models of equal accuracy can differ on many."""
    challenger, champion = (Predictions(predictions(np.arange(*wrong)), PETS) for wrong in ((0, 4), (2, 12)))
    comparison = compare(challenger, champion, np.zeros(IMAGES, np.int64))
    assert comparison == Comparison(IMAGES, 996, 990, 8, 2, comparison.p, ClassChange(both=("cat", "dog")))
    assert (comparison.added_n, comparison.added_correct) == (0, 0)
    assert comparison.p == pytest.approx(0.109375)  # 2 * P(X <= 2), X ~ binomial(10, 1/2)
    assert str(comparison) == (
        "996 right against the champion's 990 of 1,000 (+0.60 points: 8 gained, 2 lost; McNemar's p 0.109)"
    )


def test_a_run_that_compares_nothing_loads_no_numpy() -> None:
    script = "import sys, components.promote.comparison; print('numpy' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize(
    ("lost", "severities"), [(0, []), (5, []), (6, ["warning"]), (11, ["warning"]), (16, ["error"]), (200, ["error"])]
)
def test_only_a_challenger_that_is_shown_to_be_worse_is_refused(lost: int, severities: list[str]) -> None:
    """Worse by gate.max_regression passes; by one image more the test images cannot tell, by many they can."""
    comparison = Comparison(IMAGES, 900, 900 + lost, gained=3, lost=3 + lost, p=mcnemar(3, 3 + lost))
    assert [finding.severity for finding in judge(comparison, Gate(max_regression=0.005))] == severities


def test_two_images_of_332_are_no_reason_to_refuse_and_none_to_promote() -> None:
    """The champion stays, the run goes on, and the message says how many images would tell."""
    comparison = Comparison(332, 325, 327, gained=3, lost=5, p=mcnemar(3, 5))
    (text,) = warnings(judge(comparison, Gate()))
    assert "332 test images cannot tell whether it is worse by more than 0.1 points (gate.max_regression)" in text
    assert "between -2.27 and +0.93 points, each bound with 95 % confidence (gate.confidence)" in text
    assert text.endswith("A loss of this size would show on about 5,900 test images")


def test_a_model_that_may_be_worse_leaves_the_champion_and_does_not_fail(bench: Bench) -> None:
    """The facts say so, and nothing is written to the log: the alias did not move. A wider margin lets it pass."""
    champion = bench.add("a", range(20))
    bench.promote("a")
    bench.add("b", range(1, 23))
    facts = bench.promote("b", champion)
    assert (facts["made"], facts["outcome"], facts["version"]) == (False, "undecided", "2")
    assert facts["reason"] == "too few test images to tell whether version 2 is worse: the champion, version 1, stays"
    assert facts["comparison"] is not None
    assert facts["comparison"]["outcome"] == "undecided"
    assert bench.champion() == "1"
    assert bench.actions() == [("promote", None, "1")]
    assert bench.promote("b", champion, Gate(max_regression=0.002))["outcome"] == "promoted"
    assert bench.promote("b", champion)["outcome"] == "unchanged"


def test_a_refusal_gives_the_numbers() -> None:
    """Both counts, the difference in points, the p value and the bound."""
    (text,) = errors(judge(Comparison(1000, 980, 990, 2, 12, 0.0129), Gate(max_regression=0.001)))
    assert "980 right against the champion's 990 of 1,000 (-1.00 points: 2 gained, 12 lost" in text
    assert "0.0129" in text
    assert "0.1 points" in text


def test_the_first_model_becomes_champion(bench: Bench) -> None:
    """Without a champion there is nothing to be worse than; a second promotion does nothing."""
    bench.add("a", range(50))
    assert bench.promote("a") == {
        "name": NAME,
        "version": "1",
        "before": None,
        "made": True,
        "outcome": "promoted",
        "comparison": None,
        "reason": "there was no champion before",
    }
    assert bench.promote("a")["made"] is False
    assert bench.champion() == "1"
    assert bench.actions() == [("promote", None, "1")]


def test_the_alias_moves_where_nothing_else_is_asked(bench: Bench) -> None:
    """By the defaults of the stage."""
    evaluate = bench.add("a", range(50))
    normalize, train = bench.folder / "normalize", bench.folder / "train-a"
    assert promote(normalize, train, evaluate, bench.registry, NAME, Gate(), bench.log, WHO)["made"] is True
    assert bench.champion() == "1"


def test_a_better_model_takes_over(bench: Bench) -> None:
    """The alias moves, and the log keeps the comparison that it moved for."""
    champion = bench.add("a", range(50))
    bench.promote("a")
    bench.add("b", range(20))
    facts = bench.promote("b", champion)
    assert bench.champion() == "2"
    assert bench.actions() == [("promote", None, "1"), ("promote", "1", "2")]
    (_, promotion) = promotion_log.read(bench.log)
    assert promotion.comparison == facts["comparison"]
    assert promotion.comparison is not None
    assert promotion.comparison["gained"] == 30
    assert promotion.who == WHO
    bench.add("z", range(5))  # whatever the order of the models' hashes
    facts = bench.promote("z", bench.folder / "evaluate-b")
    assert (facts["made"], facts["before"], bench.champion()) == (True, "2", "3")
    assert facts["comparison"] is not None


def test_what_warns_of_a_promotion_is_printed(bench: Bench) -> None:
    """And stands in the facts."""
    champion = bench.add("a", range(20))
    bench.promote("a")
    bench.add("b", range(1, 23))
    lines: list[str] = []
    with said_to(lines.append):
        facts = bench.promote("b", champion)
    (warning,) = facts["warnings"]
    assert lines[0] == f"  warning: {warning}"
    assert "cannot tell whether it is worse" in warning


@pytest.mark.parametrize(
    ("classes", "reason"),
    [
        (("emu", "fox"), "knows 'cat', 'dog', and this model 'emu', 'fox', with no class in common"),
        (("emu", "dog"), "has only 'dog' in common with this model, and no test image shows it"),
    ],
)
def test_what_shares_no_image_cannot_be_compared(bench: Bench, classes: tuple[str, str], reason: str) -> None:
    """Every test image is of the first class."""
    champion = bench.add("a", range(20))
    bench.promote("a")
    bench.add("b", range(20), classes)
    with pytest.raises(PromotionRejected, match=reason):
        bench.promote("b", champion, Gate(allow_removed_classes=True))


def test_errors_on_corrupted_images_are_compared_where_both_models_saw_the_same(bench: Bench) -> None:
    """Mean and kinds of both reach the comparison and the log; other images are not compared."""
    champion = bench.add("a", range(50))
    bench.promote("a")
    write_corruptions(champion, 0.4, "same")
    for model, digest in (("b", "same"), ("c", "other")):
        write_corruptions(bench.add(model, range(20)), 0.25, digest)
        (entry,) = [bench.promote(model, champion)["comparison"]]
        expected = {
            "challenger": {"mean": 0.25, "kinds": {"blur": 0.25}},
            "champion": {"mean": 0.4, "kinds": {"blur": 0.4}},
        }
        assert isinstance(entry, dict)
        assert entry.get("corruption") == (expected if digest == "same" else None)


def write_corruptions(evaluate: Path, error: float, digest: str) -> None:
    """What evaluate writes about corrupted images."""
    content = {"mean_error": error, "digest": digest, "kinds": [{"name": "blur", "error": error}]}
    (evaluate / "corruptions.json").write_text(json.dumps(content))


def test_a_worse_model_is_refused_and_nothing_moves(bench: Bench) -> None:
    """The champion stays and the log is unchanged; a wider gate lets the same model pass."""
    champion = bench.add("a", range(20))
    bench.promote("a")
    bench.add("b", range(40))
    with pytest.raises(PromotionRejected, match=r"-2\.00 points: 0 gained, 20 lost"):
        bench.promote("b", champion)
    assert bench.champion() == "1"
    assert bench.actions() == [("promote", None, "1")]
    assert bench.promote("b", champion, Gate(max_regression=0.02))["made"] is True


def test_an_unregistered_model_is_not_promoted(bench: Bench) -> None:
    """A model without a version must be registered first."""
    bench.add("a", range(1))
    (bench.folder / "train-a" / "model.keras").write_text("another")
    with pytest.raises(ArtifactMissing, match="python -m pipeline stage register"):
        bench.promote("a")


def test_a_champion_without_its_evaluation_predicts_the_test_images(
    registry: Registry, trained: Callable[[int], Trained], tmp_path: Path
) -> None:
    """Its model is fetched from the registry; one that was tampered with is detected first."""
    for seed in (1, 0):
        made = trained(seed)
        register(made.normalize, made.train, made.evaluate, registry, NAME, lambda: new_run(registry, tmp_path), {})
        facts = promote(made.normalize, made.train, made.evaluate, registry, NAME, Gate(), tmp_path / "log", WHO, None)
    weak = np.load(trained(1).evaluate / "predictions.npy")
    labels = np.load(made.normalize / "test" / "labels.npy")
    comparison = facts["comparison"]
    assert comparison is not None
    assert comparison["champion_correct"] == (weak.argmax(axis=1) == labels).sum()
    assert comparison["gained"] > 0

    champion = registry.alias(NAME, CHAMPION)
    assert champion is not None
    file = Path(champion.source.removeprefix("file://")) / "data" / "model.keras"
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(ArtifactCorrupt, match="version 2 in the registry has sha256"):
        registry.model_file(champion, tmp_path)
    file.unlink()
    assert registry.model_file(champion, tmp_path) is None
    made = trained(2)
    register(made.normalize, made.train, made.evaluate, registry, NAME, lambda: new_run(registry, tmp_path), {})
    with pytest.raises(PromotionRejected, match=r"has lost its file.*--force"):
        promote(made.normalize, made.train, made.evaluate, registry, NAME, Gate(), tmp_path / "log", WHO, None)
