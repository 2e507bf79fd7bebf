"""Anomalies of given statistics: each bound at its edge, and each sentence in full."""

from collections.abc import Sequence
from typing import Any

import pytest

from components.artifact_files import SchemaFile, Statistics
from components.settings.sections import Validate
from components.validate.anomalies import anomalies

NONE: dict[str, Any] = {"count": 0, "examples": []}


def split(histogram: Sequence[int] = (50, 50), **more: Any) -> dict[str, Any]:
    """The statistics of a sound split, but for *more*."""
    images = sum(histogram)
    sound = {
        "images": images,
        "kinds": [{"dtype": "uint8", "shape": [6, 5, 1], "images": images, "first": 0}],
        "pixels": {"mean": 127.5, "deviation": 50.0, "min": 0, "max": 255},
        "nan": NONE,
        "labels": {"dtype": "int64", "shape": [images]},
        "histogram": list(histogram),
        "outside": {**NONE, "values": []},
        "constant": NONE,
        "faint": {**NONE, "bound": 2.0},
        "duplicates": NONE,
        "contradictions": NONE,
        "near_duplicates": NONE,
        "unreadable": [],
    }
    return sound | more


def statistics(train: dict[str, Any] | None = None, test: dict[str, Any] | None = None, **more: Any) -> Statistics:
    splits = {"train": train or split(), "test": test or split((10, 10))}
    sound: Any = {"classes": ["cat", "dog"], "splits": splits, "leaked": NONE, "near_leaked": NONE}
    return sound | more  # type: ignore[no-any-return]


def schema(**more: Any) -> SchemaFile:
    """That of the sound statistics, but for *more*."""
    sound: Any = {
        "classes": ["cat", "dog"],
        "dtype": "uint8",
        "shape": [6, 5, 1],
        "min_images": {},
        "class_shares": {"cat": 0.5, "dog": 0.5},
    }
    return sound | more  # type: ignore[no-any-return]


def found(
    measured: Statistics,
    expected: SchemaFile | None = None,
    *,
    pinned: bool = False,
    champion: Statistics | None = None,
    drawn: bool = False,
    **bounds: Any,
) -> list[str]:
    """The findings as "severity: text"."""
    share: Any = {"share": 0.15} if drawn else None
    listed = anomalies(measured, expected or schema(), pinned, Validate(**bounds), champion, share)
    return [f"{finding.severity}: {finding.text}" for finding in listed]


def test_sound_statistics_have_no_anomaly() -> None:
    for drawn in (False, True):
        assert found(statistics(), champion=statistics(), drawn=drawn) == []


@pytest.mark.parametrize("classes", [["cat", "emu"], ["ant", "dog"]])
def test_other_classes_than_the_schema_expects_are_an_error(classes: list[str]) -> None:
    texts = found(statistics(), schema(classes=classes))
    assert texts == [
        f"error: the classes are 'cat', 'dog'; the schema expects '{classes[0]}', '{classes[1]}', in this order"
    ]


@pytest.mark.parametrize(
    ("dtype", "shape", "text"), [("float32", [7], "(7,)"), ("uint9", [], "()"), ("uint8", [6, 5], "(6, 5)")]
)
def test_images_of_another_kind_are_an_error(dtype: str, shape: list[int], text: str) -> None:
    kinds = [{"dtype": dtype, "shape": shape, "images": 1, "first": 3}]
    assert found(statistics(split(kinds=kinds))) == [
        f"error: train: 1 image, from image 3 on, of {dtype} and shape {text}; expected uint8 and (6, 5, 1)"
    ]


@pytest.mark.parametrize("labels", [99, 101])
def test_each_image_has_a_label(labels: int) -> None:
    """Neither fewer nor more; labels that are no list of numbers are told apart from missing ones."""
    texts = found(statistics(split(labels={"dtype": "int64", "shape": [labels]})))
    assert texts == [f"error: train: {labels} labels; expected 100, one for each image"]
    wide = split(labels={"dtype": "int64", "shape": [100, 3]})
    assert found(statistics(wide)) == ["error: train: 100 labels; expected 100, one for each image"]
    assert found(statistics(split(histogram=[0], labels=None, images=100) | {"histogram": None})) == []


def test_labels_outside_the_classes_are_an_error_and_the_numbers_are_named() -> None:
    outside = {"count": 2, "examples": [5, 8], "values": [-1, 2]}
    assert found(statistics(split(outside=outside))) == [
        "error: train: 2 of 100 images (2.000 %; images 5, 8) with a label outside the classes (-1, 2); expected 0 to 1"
        ", the numbers of the classes"
    ]


@pytest.mark.parametrize(
    ("histogram", "text"),
    [
        ((100, 0), "every image is of class 'cat'; expected at least two classes"),
        ((50, 0, 50), "no image of class 'dog'; expected images of each of the 3 classes"),
        ((0, 50, 50, 0), "no image of class 'cat', 'fox'; expected images of each of the 4 classes"),
    ],
)
def test_a_class_without_images_is_an_error(histogram: tuple[int, ...], text: str) -> None:
    """One class alone is said as such."""
    names = ["cat", "dog", "emu", "fox"][: len(histogram)]
    measured = statistics(split(histogram), split((10,) * len(names)), classes=names)
    shares = {name: [0.0, 1.0] for name in names}
    expected = schema(classes=names, class_shares=shares)
    assert found(measured, expected) == [f"error: train: {text}: add some, or leave the class out of the data"]
    (drawn,) = found(measured, expected, drawn=True)
    assert drawn.endswith(": add images, 3 different ones at least, or leave the class out of the data")


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ((99, 20), ["error: train: 99 images; expected at least 100 (validate.min_images)"]),
        ((100, 20), []),
        ((101, 20), []),
        ((101, 0), ["error: test: 0 images; expected at least 1 (validate.min_images)"]),
        ((101, 1), []),
    ],
)
def test_too_few_images_are_an_error(images: tuple[int, int], expected: list[str]) -> None:
    """Of training below validate.min_images, of testing none at all."""
    train, test = (split((count, 0)) | {"histogram": None, "labels": None} for count in images)
    assert found(statistics(train, test)) == expected


def test_a_schema_may_expect_more_images() -> None:
    """The larger of the two bounds is named with where it comes from."""
    expected = schema(min_images={"train": 200, "test": 20})
    assert found(statistics(), expected) == ["error: train: 100 images; expected at least 200 (the schema)"]
    assert found(statistics(), schema(min_images={"test": 21})) == [
        "error: test: 20 images; expected at least 21 (the schema)"
    ]


@pytest.mark.parametrize(("brightest", "warned"), [(0, False), (1, True), (31, True), (32, False), (33, False)])
def test_images_that_are_nearly_black_were_not_scaled(brightest: int, warned: bool) -> None:
    """Values of 0 and 1, or of few bits; images that are black altogether are of one colour."""
    pixels = {"mean": 127.5, "deviation": 0.0, "min": 0, "max": brightest}
    expected = (
        f"warning: train: the images are nearly black: their brightest value is {brightest} of 255; expected values "
        "that were scaled to 0 to 255"
    )
    assert found(statistics(split(pixels=pixels))) == ([expected] if warned else [])
    assert found(statistics(split(pixels=None))) == []


def constant(count: int) -> dict[str, Any]:
    return {"count": count, "examples": list(range(min(count, 5)))}


@pytest.mark.parametrize(
    ("blank", "severity"),
    [
        ((12, 0), "warning"),  # 10 % of all images is not above 10 %
        ((13, 0), "warning"),  # P(X >= 13) = 0.198 in 100 images
        ((16, 0), "error"),  # P(X >= 16) = 0.040
        ((15, 0), "warning"),  # P(X >= 15) = 0.073
    ],
)
def test_blank_images_are_an_error_above_a_share_of_all_and_of_the_split(blank: tuple[int, int], severity: str) -> None:
    """And by more than chance in the split."""
    train, test = split(constant=constant(blank[0])), split((10, 10), constant=constant(blank[1]))
    (text,) = found(statistics(train, test), max_constant_share=0.1)
    more = f" and {blank[0] - 5} more"
    assert text == (
        f"{severity}: train: {blank[0]} of 100 images ({blank[0]}.000 %; images 0, 1, 2, 3, 4{more}) of one colour; "
        "expected at most 10 % (validate.max_constant_share); they stay in the data"
    )


def test_few_blank_images_among_all_are_no_error_however_many_a_small_split_has() -> None:
    """Twelve of 120 images are the share that is accepted, though all are in a split of twenty."""
    for few in (11, 12):
        measured = statistics(test=split((10, 10), constant=constant(few)))
        assert found(measured, max_constant_share=0.1)[0].startswith(f"warning: test: {few} of 20 images")
    measured = statistics(test=split((10, 10), constant=constant(13)))
    assert found(measured, max_constant_share=0.1)[0].startswith("error: test: 13 of 20 images")


def test_what_stays_in_the_data_is_a_warning() -> None:
    """Faint images, copies, near duplicates and contradictions; of training it is said where their parts go."""
    pairs = {"count": 1, "examples": [[2, 7]]}
    files = {"count": 2, "examples": [[2, 7], [3, 8]], "files": [["a.png", "b.png"], ["c.png", "d.png"]]}
    parts: dict[str, Any] = {"duplicates": pairs, "near_duplicates": files, "contradictions": pairs}
    faint: dict[str, Any] = {"faint": {"count": 1, "examples": [5], "bound": 2.56}}
    assert found(statistics(split(**parts, **faint), split((10, 10), **parts))) == [
        "warning: train: 1 of 100 images (1.000 %; image 2 = 7) that repeat another under a different label; expected "
        "one label for one image; all of them stay in the data",
        "warning: train: 1 of 100 images (1.000 %; image 5) nearly blank (standard deviation below 2.6 of 255); they "
        "stay in the data",
        "warning: train: 1 of 100 images (1.000 %; image 2 = 7) that repeat an earlier one; copies stay together, in "
        "training or in validation",
        "warning: train: 2 pairs (a.png = b.png, c.png = d.png) that are nearly the same image; they stay, and may be "
        "in training and in validation",
        "warning: test: 1 of 20 images (5.000 %; image 2 = 7) that repeat another under a different label; expected "
        "one label for one image; all of them stay in the data",
        "warning: test: 1 of 20 images (5.000 %; image 2 = 7) that repeat an earlier one",
        "warning: test: 2 pairs (a.png = b.png, c.png = d.png) that are nearly the same image",
    ]


def test_class_shares_are_judged_at_the_bound_and_the_worst_comes_first() -> None:
    """Six classes are off by differently much; five are listed."""
    names = list("abcdefg")
    histogram = (10, 20, 30, 100, 115, 145, 80)
    measured = statistics(split(histogram), split((10,) * 7), classes=names)
    expected = schema(classes=names, class_shares=dict.fromkeys(names, 0.15))
    texts = found(measured, expected, max_class_share_change=0.01)
    assert texts[0] == (
        "warning: train: class shares off those of training: 'f' is 29.0 %, expected 14.0 to 16.0, 'a' is 2.0 %, "
        "expected 14.0 to 16.0, 'b' is 4.0 %, expected 14.0 to 16.0, 'c' is 6.0 %, expected 14.0 to 16.0, 'e' is "
        "23.0 %, expected 14.0 to 16.0 and 1 more (validate.max_class_share_change)"
    )
    (text,) = found(statistics(), schema(class_shares={"cat": [0.5, 0.5], "dog": [0.2, 0.4998]}), pinned=True)[:1]
    assert text == (
        "error: train: class shares off the schema: 'dog' is 50.0 %, expected 20.0 to 50.0 "
        "(validate.max_class_share_change)"
    )


@pytest.mark.parametrize(("cats", "off"), [(44, True), (45, False), (55, False), (56, True)])
def test_a_class_share_may_change_by_the_bound(cats: int, off: bool) -> None:
    """Not by more; the other class changes with it."""
    measured = statistics(split((cats, 100 - cats)), split((10, 10)))
    assert bool(found(measured, max_class_share_change=0.05)) is off


@pytest.mark.parametrize(("share", "histogram"), [(0.01, (1, 99)), (0.99, (99, 1))])
def test_the_range_of_a_share_ends_at_0_and_100_percent(share: float, histogram: tuple[int, int]) -> None:
    expected = schema(class_shares={"cat": share, "dog": 0.5})
    texts = found(statistics(split(histogram)), expected, max_class_share_change=0.02)
    assert "'dog' is " in texts[0]
    assert "'cat'" not in texts[0]
    expected = schema(class_shares={"cat": share, "dog": 1 - share})
    (text,) = found(statistics(split((50, 50))), expected, max_class_share_change=0.02)[:1]
    assert "expected 0.0 to 3.0" in text
    assert "expected 97.0 to 100.0" in text


def test_only_a_split_that_chance_drew_may_have_other_shares() -> None:
    """Against the inferred schema; a pinned one holds for it too."""
    measured = statistics(test=split((16, 4)))
    assert found(measured, drawn=True) == []
    for pinned, severity in ((False, "warning"), (True, "error")):
        (text,) = found(measured, pinned=pinned)
        assert text.startswith(f"{severity}: test: class shares off")
    assert found(measured, pinned=True, drawn=True) == found(measured, pinned=True)
    assert found(statistics(split((80, 20))), drawn=True)[0].startswith("warning: train: class shares off")


@pytest.mark.parametrize(("count", "severity"), [(1, "warning"), (2, "warning"), (3, "error")])
def test_test_images_in_training_are_an_error_above_a_share(count: int, severity: str) -> None:
    """2 of 20 are 10 %; in a split that was drawn none is."""
    leaked = {"count": count, "examples": [[each, each + 1] for each in range(count)]}
    pairs = ", ".join(f"{each} = {each + 1}" for each in range(count))
    start = f"test: {count} of 20 images ({5 * count}.000 %; test = training image {pairs}) that are in the training "
    measured = statistics(leaked=leaked)
    left_out = "" if severity == "error" else ", and normalize leaves them out of training"
    assert found(measured, max_duplicate_share=0.1) == [
        f"{severity}: {start}split too; expected at most 10 % (validate.max_duplicate_share){left_out}"
    ]
    assert found(measured, max_duplicate_share=0.1, drawn=True) == [
        f"warning: {start}split too; normalize leaves them out of training"
    ]


def darker(by: float, histogram: Sequence[int] = (50, 50), classes: Sequence[str] = ("cat", "dog")) -> Statistics:
    pixels = {"mean": 255 * (0.5 - by), "deviation": 50.0, "min": 0, "max": 255}
    return statistics(split(histogram, pixels=pixels), classes=[*classes])


@pytest.mark.parametrize("by", [0.3, -0.3])
def test_drift_of_brightness_is_judged_in_both_directions(by: float) -> None:
    """At the bound it is accepted; 0.25 and 0.5 are exact in binary."""
    (text,) = found(darker(by), champion=darker(0), max_brightness_drift=0.25)
    assert text == (
        f"error: train: mean brightness is {0.5 - by:.3f} of 1, and 0.500 in the champion's data; expected a change of "
        "at most 0.25 (validate.max_brightness_drift)"
    )
    for accepted in (0.25, -0.25, 0.1):
        assert found(darker(accepted), champion=darker(0), max_brightness_drift=0.25) == []


def test_drift_of_classes_is_judged_by_their_names() -> None:
    """Disjoint classes are at a distance of 1, which the largest bound accepts."""
    loose: dict[str, Any] = {"max_class_share_change": 1}
    (text,) = found(darker(0, (90, 10)), champion=darker(0), max_class_drift=0.1, **loose)
    assert text == (
        "error: train: class shares have drifted from the champion's data by a Jensen-Shannon distance of 0.383; "
        "expected at most 0.1 (validate.max_class_drift)"
    )
    for classes in (("ant", "bee"), ("emu", "fox")):
        champion = darker(0, classes=classes)
        (text,) = found(darker(0), champion=champion, max_class_drift=0.5, **loose)
        assert text.endswith("; the classes changed: accept that once with --set validate.max_class_drift=1")
        assert found(darker(0), champion=champion, max_class_drift=1, **loose) == []
    assert found(darker(0), champion=darker(0, (50, 50, 0), ("cat", "dog", "emu")), **loose) == []
    for champion in (darker(0, (10, 10, 80), ("cat", "dog", "emu")), darker(0, (100,), ("cat",))):
        (text,) = found(darker(0), champion=champion, max_class_drift=0.1, **loose)
        assert text.endswith("; the classes changed: accept that once with --set validate.max_class_drift=1")


@pytest.mark.parametrize(
    "unknown",
    [
        {"splits": {}},  # of an older version
        {"splits": {"train": 3}},
        {"splits": {"train": split((0, 0))}, "classes": ["cat", "dog"]},
        {"splits": {"train": split() | {"histogram": None}}},
        {"splits": {"train": split(pixels=None)}},
    ],
)
def test_drift_from_what_was_not_measured_is_not_judged(unknown: Any) -> None:
    """A warning, where it is the champion's; where it is the data's own, its other errors say why."""
    assert found(statistics(), champion=unknown) == [
        "warning: the statistics of the champion's data are of another version; drift from them is not judged"
    ]
    assert found(statistics(split(pixels=None)), champion=statistics()) == []


def test_errors_come_first() -> None:
    measured = statistics(split(duplicates={"count": 1, "examples": [[2, 7]]}), split((10, 10), nan=constant(6)))
    assert [text.partition(":")[0] for text in found(measured)] == ["error", "warning"]
    assert found(measured)[0] == (
        "error: test: 6 of 20 images (30.000 %; images 0, 1, 2, 3, 4 and 1 more) with NaN values; expected numbers "
        "from 0 to 255"
    )
    measured = statistics(split(unreadable=["images-00000.npy", "labels.npy"]))
    assert [text.split()[2] for text in found(measured)] == ["images-00000.npy", "labels.npy"]
