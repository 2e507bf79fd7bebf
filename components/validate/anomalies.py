"""Anomalies of the measured images: each a sentence with the split, the value, what is expected and some images.

    error (rejects the data)                                warning
      an array that cannot be read, wrong dtype or shape
      NaN values, labels outside the classes
      too few images, only one class
      a class that a split lacks (*)
      class share off a pinned schema's                       ... off the training split's
      images of one colour, above the bound                   ... below it
                                                              images that are nearly blank
                                                              images that are nearly black, all of them
      test images that are in training too, above the bound   ... below it, or in a split that ingest drew
                                                              copies and near duplicates
                                                              copies of one image under different labels
      drift from the champion's data

(*) In the test split too: a class that is never tested would pass whatever the model predicts for it.
"""

from collections.abc import Iterable, Iterator, Sequence

from components.artifact_files import (
    DrawnSplit,
    Examples,
    OutsideLabels,
    Pairs,
    SchemaFile,
    SplitStatistics,
    Statistics,
)
from components.data.drift import class_shares, jensen_shannon
from components.findings import Finding
from components.formatting import bound, percent, points
from components.proportions import upper_tail
from components.settings.sections import Validate

LISTED = 5
LEVEL = 0.05  # of the exact binomial test that a split has too many blank images
DARK = 32  # of 256: below it are values of 0 and 1, or of 4 bits, that were saved unscaled
STAY = "; they stay in the data"
LEFT_OUT = "; normalize leaves them out of training"


def anomalies(
    statistics: Statistics,
    schema: SchemaFile,
    pinned: bool,
    params: Validate,
    champion: Statistics | None,
    drawn: DrawnSplit | None = None,
) -> list[Finding]:
    """Every anomaly of *statistics*, errors first; *drawn* describes the test split where ingest drew it."""
    classes = statistics["classes"]
    cure = f"{'add images, 3 different ones at least' if drawn else 'add some'}, or leave the class out of the data"
    findings = list(_classes(classes, schema))
    for name, split in statistics["splits"].items():
        findings += _arrays(name, split, schema)
        findings += _labels(name, split, classes, cure)
        findings += _too_few(name, split, schema, params)
        findings += _blank(name, split, statistics, params)
        findings += _repeated(name, split)
        if pinned or not (drawn and name == "test"):  # chance drew that one, and nobody can do anything about it
            findings += _shares(name, split, classes, schema, pinned, params)
    findings += _leakage(statistics, params, drawn is not None)
    if champion is not None:
        findings += _drift(statistics, champion, params)
    return sorted(findings, key=lambda finding: finding.severity)


def _error(text: str) -> Finding:
    return Finding("error", text)


def _warning(text: str) -> Finding:
    return Finding("warning", text)


def _classes(classes: list[str], schema: SchemaFile) -> Iterator[Finding]:
    if classes != schema["classes"]:
        yield _error(
            f"the classes are {_names(classes)}; the schema expects {_names(schema['classes'])}, in this order"
        )


def _arrays(name: str, split: SplitStatistics, schema: SchemaFile) -> Iterator[Finding]:
    """The arrays themselves: readable, of the right dtype and shape, with a label for each image."""
    for file in split["unreadable"]:
        yield _error(
            f"{name}: {file} is missing or not a complete .npy array; run `python -m pipeline run --force ingest`"
        )
    for kind in split["kinds"]:
        if (kind["dtype"], kind["shape"]) != (schema["dtype"], schema["shape"]):
            yield _error(
                f"{name}: {_count(kind['images'], 'image')}, from image {kind['first']} on, of {kind['dtype']} and "
                f"shape {_size(kind['shape'])}; expected {schema['dtype']} and {_size(schema['shape'])}"
            )
    if split["nan"]["count"]:
        yield _error(f"{name}: {_affected(split['nan'], split)} with NaN values; expected numbers from 0 to 255")
    yield from _label_array(name, split)


def _label_array(name: str, split: SplitStatistics) -> Iterator[Finding]:
    labels = split["labels"]
    if labels and split["histogram"] is None:
        yield _error(f"{name}: the labels are {labels['dtype']} of shape {_size(labels['shape'])}; expected int64 (N,)")
    elif labels and labels["shape"] != [split["images"]]:
        yield _error(f"{name}: {labels['shape'][0]:,} labels; expected {split['images']:,}, one for each image")


def _labels(name: str, split: SplitStatistics, classes: list[str], cure: str) -> Iterator[Finding]:
    outside, counts = split["outside"], split["histogram"]
    if outside["count"]:
        yield _error(
            f"{name}: {_affected(outside, split)} with a label outside the classes "
            f"({_list(map(str, outside['values']))}); expected 0 to {len(classes) - 1}, the numbers of the classes"
        )
    if counts is None or not sum(counts):
        return
    yield from _missing_classes(name, counts, classes, cure)
    if split["contradictions"]["count"]:
        yield _warning(
            f"{name}: {_affected(split['contradictions'], split)} that repeat another under a different label; "
            "expected one label for one image; all of them stay in the data"
        )


def _missing_classes(name: str, counts: list[int], classes: list[str], cure: str) -> Iterator[Finding]:
    missing = [label for label, count in zip(classes, counts, strict=True) if not count]
    if len(classes) - len(missing) == 1:
        yield _error(
            f"{name}: every image is of class {classes[counts.index(max(counts))]!r}; expected at least two classes: "
            f"{cure}"
        )
    elif missing:
        yield _error(
            f"{name}: no image of class {_names(missing)}; expected images of each of the {len(classes)} classes: "
            f"{cure}"
        )


def _too_few(name: str, split: SplitStatistics, schema: SchemaFile, params: Validate) -> Iterator[Finding]:
    by_settings = params.min_images if name == "train" else 1
    least, origin = max((schema["min_images"].get(name, 1), "the schema"), (by_settings, "validate.min_images"))
    if split["images"] < least:
        yield _error(f"{name}: {_count(split['images'], 'image')}; expected at least {least:,} ({origin})")


def _blank(name: str, split: SplitStatistics, statistics: Statistics, params: Validate) -> Iterator[Finding]:
    """Images that are nearly black, of one colour, or nearly so."""
    constant, faint, pixels = split["constant"], split["faint"], split["pixels"]
    if pixels and 0 < pixels["max"] < DARK:
        yield _warning(
            f"{name}: the images are nearly black: their brightest value is {pixels['max']} of 255; expected values "
            "that were scaled to 0 to 255"
        )
    if constant["count"]:
        yield Finding(
            "error" if _too_many_blank(split, statistics, params.max_constant_share) else "warning",
            f"{name}: {_affected(constant, split)} of one colour; "
            f"expected at most {bound(params.max_constant_share)} (validate.max_constant_share){STAY}",
        )
    if faint["count"]:
        yield _warning(
            f"{name}: {_affected(faint, split)} nearly blank (standard deviation below {faint['bound']:.2g} of 255)"
            f"{STAY}"
        )


def _too_many_blank(split: SplitStatistics, statistics: Statistics, most: float) -> bool:
    """Whether the share is above *most* in all images, and in the split by more than chance: it may be a small one."""
    splits = statistics["splits"].values()
    blank, images = sum(each["constant"]["count"] for each in splits), sum(each["images"] for each in splits)
    return blank > most * images and upper_tail(split["constant"]["count"], split["images"], most) <= LEVEL


def _repeated(name: str, split: SplitStatistics) -> Iterator[Finding]:
    """Copies and near duplicates within the split."""
    copies, near = split["duplicates"], split["near_duplicates"]
    if copies["count"]:
        yield _warning(
            f"{name}: {_affected(copies, split)} that repeat an earlier one"
            f"{'' if name != 'train' else '; copies stay together, in training or in validation'}"
        )
    if near["count"]:
        yield _warning(
            f"{name}: {_pairs(near)} that are nearly the same image"
            f"{'' if name != 'train' else '; they stay, and may be in training and in validation'}"
        )


def _shares(
    name: str, split: SplitStatistics, classes: list[str], schema: SchemaFile, pinned: bool, params: Validate
) -> Iterator[Finding]:
    if not (split["histogram"] and sum(split["histogram"])):
        return
    off = []
    for label, share in class_shares(classes, split["histogram"]).items():
        low, high = _bounds(schema["class_shares"].get(label, share), params.max_class_share_change)
        if not low - 1e-9 <= share <= high + 1e-9:
            text = f"{label!r} is {percent(share, 1)}, expected {points(low, 1)} to {points(high, 1)}"
            off.append((max(low - share, share - high), text))
    if off:
        worst = [text for _, text in sorted(off, key=lambda distance_and_text: -distance_and_text[0])]
        yield Finding(
            "error" if pinned else "warning",
            f"{name}: class shares off {'the schema' if pinned else 'those of training'}: {_list(worst)} "
            "(validate.max_class_share_change)",
        )


def _bounds(expected: float | list[float], change: float) -> tuple[float, float]:
    if isinstance(expected, list):
        return expected[0], expected[1]
    return max(0.0, expected - change), min(1.0, expected + change)


def _leakage(statistics: Statistics, params: Validate, drawn: bool) -> Iterator[Finding]:
    """Test images that are in training too; in a split that ingest *drew*, they are left out there, and no error."""
    leaked, near, test = statistics["leaked"], statistics["near_leaked"], statistics["splits"]["test"]
    most = params.max_duplicate_share
    if leaked["count"]:
        above = leaked["count"] > most * test["images"] and not drawn
        expected = "" if drawn else f"; expected at most {bound(most)} (validate.max_duplicate_share)"
        yield Finding(
            "error" if above else "warning",
            f"test: {_affected(leaked, test, 'test = training image')} that are in the training split too{expected}"
            f"{'' if above else ', and normalize leaves them out of training' if expected else LEFT_OUT}",
        )
    if near["count"]:
        yield _warning(
            f"test: {_pairs(near)} of a test and a training image that are nearly the same; they stay in both, so the "
            "accuracy may be too high"
        )


def _drift(statistics: Statistics, champion: Statistics, params: Validate) -> Iterator[Finding]:
    """Training images against those that the champion was trained on."""
    now, then = _training(statistics), _training(champion)
    if then is None:
        yield _warning("the statistics of the champion's data are of another version; drift from them is not judged")
    elif now is not None:
        distance = jensen_shannon(now[0], then[0])
        if distance > params.max_class_drift:
            once = "; the classes changed: accept that once with --set validate.max_class_drift=1"
            yield _error(
                "train: class shares have drifted from the champion's data by a Jensen-Shannon distance of "
                f"{distance:.3f}; expected at most {params.max_class_drift:g} (validate.max_class_drift)"
                f"{'' if now[0].keys() == then[0].keys() else once}"
            )
        if abs(now[1] - then[1]) > params.max_brightness_drift:
            yield _error(
                f"train: mean brightness is {now[1]:.3f} of 1, and {then[1]:.3f} in the champion's data; expected a "
                f"change of at most {params.max_brightness_drift:g} (validate.max_brightness_drift)"
            )


def _training(statistics: Statistics) -> tuple[dict[str, float], float] | None:
    """Class shares and mean brightness (0..1) of the training split; None where they were not measured."""
    try:
        split = statistics["splits"]["train"]
        counts, pixels = split["histogram"], split["pixels"]
        if counts is None or pixels is None:
            return None
        return class_shares(statistics["classes"], counts), pixels["mean"] / 255
    except (KeyError, TypeError, ZeroDivisionError):
        return None


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _affected(affected: Examples | OutsideLabels | Pairs, split: SplitStatistics, what: str = "") -> str:
    """`3 of 60,000 images (0.005 %; images 5, 17, 90)`, or their files where they are files."""
    count, total = affected["count"], split["images"]
    label = "" if "files" in affected else f"{what or ('image' if count == 1 else 'images')} "
    share = percent(count / total, 3) + "; " if total else ""
    return f"{count:,} of {_count(total, 'image')} ({share}{label}{_list(_shown(affected), count)})"


def _pairs(pairs: Pairs) -> str:
    """`2 pairs (a/1.png = a/2.png, images 5 = 7)`."""
    label = "" if "files" in pairs else "images "
    return f"{_count(pairs['count'], 'pair')} ({label}{_list(_shown(pairs), pairs['count'])})"


def _shown(affected: Examples | OutsideLabels | Pairs) -> list[str]:
    examples: Sequence[object] = affected.get("files") or affected["examples"]
    return [" = ".join(map(str, each)) if isinstance(each, list) else str(each) for each in examples]


def _size(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _list(texts: Iterable[str], count: int = 0) -> str:
    """The first few of *texts*, and how many more there are: *count* in all, where that is more than the texts."""
    listed = list(texts)
    more = max(len(listed), count) - len(listed[:LISTED])
    return ", ".join(listed[:LISTED]) + (f" and {more:,} more" if more > 0 else "")


def _names(names: Iterable[str]) -> str:
    return _list(map(repr, names))
