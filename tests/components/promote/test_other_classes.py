"""Champion and challenger that know other classes, or number the same ones differently."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from components.data.classes import ClassChange
from components.errors import PromotionRejected
from components.findings import errors, warnings
from components.models.saving import read_model, write_model
from components.promote.comparison import COLLAPSE, Comparison, collapse, compare, compare_corruption, judge
from components.promote.predictions import Predictions, of_champion
from components.promote.stage import promote
from components.register.stage import register
from components.registry import class_names, promotion_log
from components.registry.client import CHAMPION, Registry, model_sha256
from components.registry.model_version import MODEL_SHA256_TAG
from components.settings.sections import Gate
from tests.components.conftest import NAMES, Trained, new_run
from tests.support.registry_bench import NAME, WHO

LENIENT = Gate(max_regression=1, allow_removed_classes=True)


def answers(names: Sequence[str], classes: Sequence[str]) -> Predictions:
    """A model that knows *classes* and answers *names*."""
    return Predictions(np.eye(len(classes), dtype=np.float32)[[classes.index(name) for name in names]], classes)


def compared(truth: str, challenger: str, champion: str, new: Sequence[str], old: Sequence[str]) -> Comparison:
    """The comparison on images of the classes *truth*, of answers in words; *new* and *old* are the known classes."""
    labels = np.array([new.index(name) for name in truth.split()], np.int64)
    return compare(answers(challenger.split(), new), answers(champion.split(), old), labels)


def test_the_same_answers_in_another_order_of_the_classes_are_equally_good() -> None:
    """Classes are numbered in the order of their names: a renamed folder, or a new one, renumbers the others."""
    comparison = compared("cat dog dog", "cat dog cat", "cat dog dog", new=["dog", "cat"], old=["cat", "dog"])
    assert (comparison.challenger_correct, comparison.champion_correct, comparison.n) == (2, 3, 3)
    assert not comparison.classes


def test_two_classes_of_one_name_stay_two() -> None:
    """ImageNet has two kinds of crane: as long as the list is the same, numbers say what names do not."""
    cranes = ["crane", "crane"]
    model = Predictions(np.eye(2, dtype=np.float32), cranes)
    comparison = compare(model, model, np.array([0, 1]))
    assert (comparison.challenger_correct, comparison.champion_correct, comparison.n) == (2, 2, 2)


def test_only_images_of_classes_that_both_know_are_compared() -> None:
    """An old image that the challenger takes for a new class is wrong; the new class is counted by itself."""
    comparison = compared(
        "ant ant cat dog", "ant cat ant dog", "cat cat cat dog", ["ant", "cat", "dog"], ["cat", "dog"]
    )
    assert (comparison.challenger_correct, comparison.champion_correct, comparison.n) == (1, 2, 2)
    assert (comparison.gained, comparison.lost) == (0, 1)
    assert (comparison.added_correct, comparison.added_n) == (1, 2)
    assert comparison.classes == ClassChange(both=("cat", "dog"), added=("ant",))
    assert comparison.in_full() == (
        "1 right against the champion's 2 of 2 test images of the 2 classes that both know "
        "(-50.00 points: 0 gained, 1 lost; McNemar's p 1); new: 'ant', 1 of 2 right"
    )


def test_an_answer_that_the_challenger_does_not_know_is_wrong() -> None:
    """The champion takes a cat for an ant, which is no class any more."""
    comparison = compared("cat dog", "cat dog", "ant dog", ["cat", "dog"], ["ant", "cat", "dog"])
    assert (comparison.challenger_correct, comparison.champion_correct) == (2, 1)
    assert comparison.classes.removed == ("ant",)


def test_a_challenger_without_a_class_of_the_champion_is_refused_unless_a_setting_allows_it() -> None:
    """In an unattended run a lost folder must not cost a class; with the setting it is a warning."""
    comparison = compared("cat dog", "cat dog", "ant dog", ["cat", "dog"], ["ant", "cat", "dog"])
    (text,) = errors(judge(comparison, Gate()))
    assert text == (
        "the challenger no longer knows 'ant', which the champion knows; add the images again, or accept the loss with "
        "--set gate.allow_removed_classes=true"
    )
    findings = judge(comparison, LENIENT)
    assert errors(findings) == []
    assert warnings(findings)[-1] == "the challenger no longer knows 'ant', which the champion knows"


def test_a_new_class_has_to_be_learned() -> None:
    """None of its images right is refused, one is enough beside gate.min_class_recall; no image at all is a warning."""
    new, old = ["ant", "cat"], ["cat"]
    (text,) = errors(judge(compared("ant ant cat", "cat cat cat", "cat cat cat", new, old), Gate()))
    assert text.startswith("the challenger has 0 of 2 test images of what is new ('ant') right; train longer")
    assert not errors(judge(compared("ant ant cat", "ant cat cat", "cat cat cat", new, old), Gate()))
    (text,) = errors(judge(compared("yak cat", "cat cat", "cat cat", ["cat", "yak"], old), Gate()))
    assert text.startswith("the challenger has 0 of 1 test images of what is new ('yak') right")
    (_, warning) = warnings(judge(compared("cat", "cat", "cat", new, old), Gate()))
    assert warning == "no test image shows a new class: how well 'ant' is known is not measured"


def test_a_comparison_on_few_images_says_so() -> None:
    """Where classes changed, fewer than twenty images of the common ones may be left."""
    few, *enough = (
        compared("ant " + "cat " * n, "ant " + "cat " * n, "cat " + "cat " * n, ["ant", "cat"], ["cat"])
        for n in (19, 20, 21)
    )
    (text,) = warnings(judge(few, Gate()))
    assert text.startswith(
        "champion and challenger are compared on 19 test images only, those of the 1 class that both"
    )
    assert [judge(comparison, Gate()) for comparison in enough] == [[], []]
    assert judge(compared("cat", "cat", "cat", ["cat"], ["cat"]), Gate()) == []


def test_the_log_names_the_classes_that_were_compared() -> None:
    """With their number, and those that only one of the two knows."""
    record = compared("ant cat", "ant cat", "cat cat", ["ant", "cat"], ["cat", "dog"]).record(Gate())
    assert json.loads(json.dumps(record)) == record
    assert {name: record[name] for name in record if "classes" in name} == {
        "classes": 1,
        "both_classes": ["cat"],
        "added_classes": ["ant"],
        "removed_classes": ["dog"],
    }


@pytest.mark.parametrize(("accuracy", "warned"), [(1.0, True), (0.7, False), (None, False)])
def test_a_champion_that_is_lost_on_these_images_is_a_warning(accuracy: float | None, warned: bool) -> None:
    """Equal class names do not make one project: `good` and `bad` bottles, `good` and `bad` cables."""
    names = ["bad", "good"]
    comparison = compared("good bad", "good bad", "good good", names, names)
    texts = warnings(collapse(comparison, accuracy))
    assert bool(texts) is warned
    assert not warned or texts[0].startswith("the champion has 50.00 % of these test images right, and had 100.00 % of")
    lost = compared("good", "good", "bad", names, names)
    assert [bool(collapse(lost, of_its_own)) for of_its_own in (COLLAPSE, COLLAPSE + 0.01)] == [False, True]


def evaluation(folder: Path, classes: Sequence[str]) -> Path:
    """An evaluation on corrupted images, the same ones whatever the classes are called."""
    folder.mkdir()
    (folder / "metrics.json").write_text(json.dumps({"classes": classes}))
    content = {"mean_error": 0.25, "digest": "same", "kinds": [{"name": "blur", "error": 0.25}]}
    (folder / "corruptions.json").write_text(json.dumps(content))
    return folder


def test_errors_on_corrupted_images_of_other_classes_are_not_compared(tmp_path: Path) -> None:
    """A renamed class leaves the images, and so their digest, as they were."""
    pets, renamed = evaluation(tmp_path / "1", ["cat", "dog"]), evaluation(tmp_path / "2", ["kitten", "dog"])
    assert compare_corruption(pets, pets)
    assert compare_corruption(pets, renamed) == {}
    assert compare_corruption(renamed, pets) == {}


def test_errors_on_corrupted_images_are_compared_where_both_evaluations_measured_them(tmp_path: Path) -> None:
    """An older evaluation has no such file, and of a champion elsewhere there is no evaluation."""
    measured, other, without = (evaluation(tmp_path / name, ["cat"]) for name in ("1", "2", "3"))
    (without / "corruptions.json").unlink()
    content = json.loads((other / "corruptions.json").read_bytes())
    (other / "corruptions.json").write_text(json.dumps(content | {"digest": "another"}))
    for challenger, champion in ((measured, without), (without, measured), (measured, None)):
        assert compare_corruption(challenger, champion) == {}
    for challenger, champion in ((measured, other), (other, measured)):
        assert compare_corruption(challenger, champion) == {}


Named = Callable[[Sequence[str]], Trained]


@pytest.fixture
def named(trained: Callable[[int], Trained], tmp_path: Path) -> Named:
    """The trained model, its images and its evaluation under other class names: same weights, same arrays."""

    def get(classes: Sequence[str]) -> Trained:
        known, folder = trained(0), tmp_path / "-".join(classes)
        for name in ("train", "evaluate"):
            (folder / name).mkdir(parents=True)
        (folder / "normalize").mkdir()
        (folder / "normalize" / "test").symlink_to(known.normalize / "test")
        data = json.loads((known.normalize / "data.json").read_bytes())
        (folder / "normalize" / "data.json").write_text(json.dumps(data | {"classes": classes}))
        write_model(read_model(known.train / "model.keras"), folder / "train" / "model.keras", classes)
        (folder / "evaluate" / "predictions.npy").symlink_to(known.evaluate / "predictions.npy")
        metrics = json.loads((known.evaluate / "metrics.json").read_bytes())
        (folder / "evaluate" / "metrics.json").write_text(json.dumps(metrics | {"classes": classes}))
        return Trained(*(folder / name for name in ("normalize", "train", "evaluate")))

    return get


@pytest.fixture
def retrain(registry: Registry, tmp_path: Path) -> Callable[..., object]:
    """Register and promote a model; the champion's evaluation is at hand where it is given."""

    def act(made: Trained, champion: Trained | None = None, gate: Gate | None = None) -> object:
        folders = made.normalize, made.train, made.evaluate
        register(*folders, registry, NAME, lambda: new_run(registry, tmp_path), {})
        evaluate = champion.evaluate if champion else None
        return promote(*folders, registry, NAME, gate or Gate(), tmp_path / "log", WHO, evaluate)

    return act


@pytest.mark.parametrize("at_hand", [True, False], ids=["its evaluation", "its file"])
def test_the_same_images_under_another_name_are_another_model(
    registry: Registry, named: Named, retrain: Callable[..., object], at_hand: bool
) -> None:
    """Equal weights and equal arrays: it gets a version of its own, and is not compared as if cats were kittens."""
    champion = named(["cat", "dog", "emu", "fox"])
    retrain(champion)
    with pytest.raises(PromotionRejected, match="no longer knows 'cat', which the champion knows"):
        retrain(named(["kitten", "dog", "emu", "fox"]), champion if at_hand else None)
    one, two = registry.versions(NAME)
    assert one.aliases == (CHAMPION,)
    assert class_names.from_tag(two) == ["kitten", "dog", "emu", "fox"]


@pytest.mark.parametrize("at_hand", [True, False], ids=["its evaluation", "its file"])
def test_a_champion_without_a_common_class_cannot_be_compared(
    registry: Registry, named: Named, retrain: Callable[..., object], at_hand: bool
) -> None:
    """The sentence names what each knows, and the command that decides; the alias stays."""
    champion = named(NAMES)
    retrain(champion)
    with pytest.raises(PromotionRejected) as refusal:
        retrain(named(["p", "q", "r", "s"]), champion if at_hand else None, LENIENT)
    assert str(refusal.value) == (
        "the champion, version 1 of m, knows 'a', 'b', 'c', 'd', and this model 'p', 'q', 'r', 's', with no class in "
        "common: the two cannot be compared; decide manually with python -m pipeline promote VERSION --force --reason "
        "TEXT"
    )
    assert [version.aliases for version in registry.versions(NAME)] == [(CHAMPION,), ("challenger",)]


def test_what_the_log_says_is_true_where_classes_were_renamed_and_turned_round(
    named: Named, retrain: Callable[..., object], tmp_path: Path
) -> None:
    """The champion answers by other names, so only the two that both know are compared, by name."""
    retrain(named(["cat", "dog", "emu", "fox"]))
    renamed = named(["dog", "emu", "fox", "tomcat"])  # the first images are of dogs now: the old model is wrong there
    retrain(renamed, None, LENIENT)
    labels = np.load(renamed.normalize / "test" / "labels.npy")
    (_, promotion) = promotion_log.read(tmp_path / "log", NAME)
    assert promotion.comparison is not None
    assert promotion.comparison["n"] == (labels < 3).sum()
    assert promotion.comparison["champion_correct"] < 0.1 * promotion.comparison["n"]
    assert promotion.comparison["both_classes"] == ["dog", "emu", "fox"]
    assert "test images of the 3 classes that both know" in promotion.reason
    assert promotion.reason.endswith("no longer known: 'cat'")


def old_version(registry: Registry, trained: Trained, folder: Path, description: str) -> None:
    """A champion as an earlier version of the pipeline registered it: its names are in its description alone."""
    write_model(read_model(trained.train / "model.keras"), folder / "model.keras")
    (folder / "artifacts" / "data").mkdir(parents=True)
    (folder / "artifacts" / "data" / "model.keras").write_bytes((folder / "model.keras").read_bytes())
    tags = {MODEL_SHA256_TAG: model_sha256(folder)}
    registry.create_model(NAME, "")
    where = (folder / "artifacts").as_uri()
    registry.client.create_model_version(NAME, where, tags=tags, description=description)
    registry.set_alias(NAME, CHAMPION, "1")


def test_the_class_names_of_a_version_without_them_are_in_its_description(
    registry: Registry, trained: Callable[[int], Trained], tmp_path: Path
) -> None:
    """What earlier versions of the pipeline wrote there; names that somebody else knows go before it."""
    old_version(registry, trained(0), tmp_path, "Takes ...; returns float32 probabilities of d, c, b, a.")
    champion = registry.alias(NAME, CHAMPION)
    assert champion
    test = trained(0).normalize / "test"
    assert of_champion(registry, champion, test).classes == ["d", "c", "b", "a"]
    assert of_champion(registry, champion, test, classes=NAMES).classes == NAMES


@pytest.mark.parametrize(
    "description", ["", "probabilities of a, b, c, d.", "returns float32 probabilities of a, b, c."]
)
def test_a_champion_whose_class_names_nothing_tells_cannot_be_compared(
    registry: Registry, trained: Callable[[int], Trained], tmp_path: Path, description: str
) -> None:
    """Not by position, as if they were those of the challenger."""
    old_version(registry, trained(0), tmp_path, description)
    champion = registry.alias(NAME, CHAMPION)
    assert champion
    with pytest.raises(PromotionRejected, match=r"version 1 of m, predicts 4 classes of unknown names: .* --force"):
        of_champion(registry, champion, trained(0).normalize / "test")
