"""Classes that appeared or disappeared since the champion was trained."""

from components.findings import Finding, errors, warnings
from components.validate.class_changes import ChampionClasses, class_changes


def changes(classes: str, champion: str, *, allow_removed: bool = False) -> list[Finding]:
    return list(class_changes(classes.split(), ChampionClasses(champion.split(), "zoo-classifier", allow_removed)))


def test_the_same_classes_in_any_order_are_no_change() -> None:
    """Their order follows from the names of the folders and means nothing."""
    assert changes("cat dog", "dog cat") == []


def test_images_of_another_project_are_refused_before_training() -> None:
    """Two folders of one name share a registered model; the sentence names the setting that separates them."""
    (text,) = errors(changes("bolt nut", "apple pear"))
    assert text == (
        "the images show 'bolt', 'nut', and the champion of zoo-classifier knows 'apple', 'pear'; give another project "
        "a model of its own with --set register.name=NAME, or allow that every class is replaced with --set "
        "gate.allow_removed_classes=true"
    )
    assert not errors(changes("bolt nut", "apple pear", allow_removed=True))


def test_a_new_class_is_told_and_trained_on() -> None:
    """That is what retraining is for; a folder that came in by mistake is seen in the report."""
    findings = changes("ant cat dog", "cat dog")
    assert warnings(findings) == ["the images show 'ant', which the champion of zoo-classifier does not know"]
    assert not errors(findings)


def test_a_missing_class_is_told_before_it_is_trained_without() -> None:
    """The promotion will be refused; with the setting that allows it, there is nothing to tell yet."""
    (text,) = warnings(changes("cat dog", "ant cat dog"))
    assert text == (
        "the images do not show 'ant', which the champion of zoo-classifier knows; a model that lacks one is promoted "
        "only with --set gate.allow_removed_classes=true"
    )
    assert changes("cat dog", "ant cat dog", allow_removed=True) == []
