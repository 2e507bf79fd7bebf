"""What is wrong with measured images: each anomaly one sentence with split, value, expectation and some images.

    error (rejects)                                         warning (told)
      an array that cannot be read, wrong dtype or shape
      values that are no numbers, labels of no class
      too few images, only one class
      a class that a split lacks (*)
      class share off a pinned schema's                       ... off the training split's own
      images of one colour, above the bound                   ... below it
      test images that are in training too, above the bound   ... below it; normalize leaves them out
                                                              copies within a split above the same bound
                                                              copies of one image under different labels
      drift from the champion's data

(*) In the test split too: a class that is never tested would be blessed whatever the model makes of it.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from components.findings import Finding
from components.settings.sections import Validate
from components.validate.schema import Schema, Share

NAMED = 5


def anomalies(
    statistics: dict[str, Any], schema: Schema, pinned: bool, params: Validate, champion: dict[str, Any] | None
) -> list[Finding]:
    """Everything to be said about *statistics* (see components.data.statistics), errors first."""
    found = list(_classes(statistics["classes"], schema))
    for name, split in statistics["splits"].items():
        found += _sound(name, split, schema)
        found += _labels(name, split, statistics["classes"])
        found += _images(name, split, schema, params)
        found += _shares(name, split, statistics["classes"], schema, pinned, params)
    found += _leak(statistics, params)
    if champion is not None:
        found += _drift(statistics, champion, params)
    return sorted(found, key=lambda finding: finding.severity)


def _error(text: str) -> Finding:
    return Finding("error", text)


def _warning(text: str) -> Finding:
    return Finding("warning", text)


def _classes(classes: list[str], schema: Schema) -> Iterator[Finding]:
    if classes != schema.classes:
        yield _error(f"the classes are {_named(classes)}; the schema expects {_named(schema.classes)}, in this order")


def _sound(name: str, split: dict[str, Any], schema: Schema) -> Iterator[Finding]:
    """The arrays themselves: readable, of the right dtype and shape, with a label for each image."""
    for file in split["unreadable"]:
        yield _error(f"{name}: {file} is missing or no whole .npy array; run `python -m pipeline run --force ingest`")
    for kind in split["kinds"]:
        if (kind["dtype"], kind["shape"]) != (schema.dtype, schema.shape):
            yield _error(
                f"{name}: {_many(kind['images'], 'image')}, from image {kind['first']} on, of {kind['dtype']} and "
                f"shape {_size(kind['shape'])}; expected {schema.dtype} and {_size(schema.shape)}"
            )
    if split["nan"]["count"]:
        yield _error(
            f"{name}: {_share_of(split['nan'], split)} with values that are no numbers; expected numbers from 0 to 255"
        )
    labels = split["labels"]
    if labels and split["histogram"] is None:
        yield _error(f"{name}: the labels are {labels['dtype']} of shape {_size(labels['shape'])}; expected int64 (N,)")
    elif labels and labels["shape"] != [split["images"]]:
        yield _error(f"{name}: {labels['shape'][0]:,} labels; expected {split['images']:,}, one for each image")


def _labels(name: str, split: dict[str, Any], classes: list[str]) -> Iterator[Finding]:
    outside, counts = split["outside"], split["histogram"]
    if outside["count"]:
        yield _error(
            f"{name}: {_share_of(outside, split)} with a label of no class ({_some(map(str, outside['values']))}); "
            f"expected 0 to {len(classes) - 1}, the numbers of the classes"
        )
    if counts is None or not sum(counts):
        return
    missing = [label for label, count in zip(classes, counts, strict=True) if not count]
    if len(classes) - len(missing) == 1:
        yield _error(
            f"{name}: every image is of class {classes[counts.index(max(counts))]!r}; expected at least two classes"
        )
    elif missing:
        yield _error(
            f"{name}: no image of class {_named(missing)}; expected images of each of the {len(classes)} classes: "
            "add some, or leave the class out of the data"
        )
    if split["contradictions"]["count"]:
        yield _warning(
            f"{name}: {_share_of(split['contradictions'], split)} that repeat another under a different label; "
            "expected one label for one image"
        )


def _images(name: str, split: dict[str, Any], schema: Schema, params: Validate) -> Iterator[Finding]:
    total, by_schema = split["images"], schema.min_images.get(name, 1)
    least, why = max((by_schema, "the schema"), (params.min_images if name == "train" else 1, "validate.min_images"))
    if total < least:
        yield _error(f"{name}: {_many(total, 'image')}; expected at least {least:,} ({why})")
    constant, copies = split["constant"], split["duplicates"]
    if constant["count"]:
        bound = params.max_constant_share
        yield Finding(
            "error" if constant["count"] > bound * total else "warning",
            f"{name}: {_share_of(constant, split)} of one colour; "
            f"expected at most {_percent(bound)} (validate.max_constant_share)",
        )
    if copies["count"] > params.max_duplicate_share * total:
        yield _warning(
            f"{name}: {_share_of(copies, split)} that repeat an earlier one; "
            f"expected at most {_percent(params.max_duplicate_share)} (validate.max_duplicate_share)"
        )


def _shares(
    name: str, split: dict[str, Any], classes: list[str], schema: Schema, pinned: bool, params: Validate
) -> Iterator[Finding]:
    if not (split["histogram"] and sum(split["histogram"])):
        return
    off = []
    for label, share in _class_shares(classes, split["histogram"]).items():
        low, high = _bounds(schema.class_shares.get(label, share), params.max_class_share_change)
        if not low - 1e-9 <= share <= high + 1e-9:
            off.append((max(low - share, share - high), f"{label!r} is {_percent(share)}, expected {_span(low, high)}"))
    if off:
        worst = [text for _, text in sorted(off, key=lambda one: -one[0])]
        yield Finding(
            "error" if pinned else "warning",
            f"{name}: class shares off {'the schema' if pinned else 'those of training'}: {_some(worst)} "
            "(validate.max_class_share_change)",
        )


def _bounds(expected: Share, change: float) -> tuple[float, float]:
    if isinstance(expected, list):
        return expected[0], expected[1]
    return max(0.0, expected - change), min(1.0, expected + change)


def _leak(statistics: dict[str, Any], params: Validate) -> Iterator[Finding]:
    leaked, test, bound = statistics["leaked"], statistics["splits"]["test"], params.max_duplicate_share
    if leaked["count"]:
        above = leaked["count"] > bound * test["images"]
        yield Finding(
            "error" if above else "warning",
            f"test: {_share_of(leaked, test, 'test = training image')} that are in the training split too; "
            f"expected at most {_percent(bound)} (validate.max_duplicate_share)"
            f"{'' if above else ', and normalize leaves them out of training'}",
        )


def _drift(statistics: dict[str, Any], champion: dict[str, Any], params: Validate) -> Iterator[Finding]:
    """Training images against those that the champion was trained on."""
    now, then = _training(statistics), _training(champion)
    if then is None:
        yield _warning("the statistics of the champion's data are not of this version; drift from them is not judged")
    elif now is not None:
        distance = jensen_shannon(now[0], then[0])
        if distance > params.max_class_drift:
            yield _error(
                "train: class shares have drifted from the champion's data by a Jensen-Shannon distance of "
                f"{distance:.3f}; expected at most {params.max_class_drift:g} (validate.max_class_drift)"
            )
        if abs(now[1] - then[1]) > params.max_brightness_drift:
            yield _error(
                f"train: mean brightness is {now[1]:.3f} of 1, and {then[1]:.3f} in the champion's data; expected a "
                f"change of at most {params.max_brightness_drift:g} (validate.max_brightness_drift)"
            )


def _training(statistics: dict[str, Any]) -> tuple[dict[str, float], float] | None:
    """Class shares and mean brightness (0..1) of the training split; None where they were not measured."""
    try:
        split = statistics["splits"]["train"]
        return _class_shares(statistics["classes"], split["histogram"]), split["pixels"]["mean"] / 255
    except (KeyError, TypeError, ZeroDivisionError):
        return None


def jensen_shannon(p: dict[str, float], q: dict[str, float]) -> float:
    """The distance of two distributions: 0 for equal ones, 1 for ones that share nothing; names may differ.

    The square root of the divergence to base 2: Endres and Schindelin 2003, https://doi.org/10.1109/TIT.2003.813506
    """
    pairs = [(p.get(name, 0.0), q.get(name, 0.0)) for name in {**p, **q}]
    divergence = sum(x * math.log2(2 * x / (a + b)) for a, b in pairs for x in (a, b) if x) / 2
    return math.sqrt(max(0.0, divergence))


def _class_shares(classes: list[str], counts: list[int]) -> dict[str, float]:
    total = sum(counts)
    return {name: count / total for name, count in zip(classes, counts, strict=True)}


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _share_of(found: dict[str, Any], split: dict[str, Any], what: str = "") -> str:
    """`3 of 60,000 images (0.005 %; images 5, 17, 90)`."""
    shown = [" = ".join(map(str, one)) if isinstance(one, list) else str(one) for one in found["examples"]]
    label = what or ("image" if found["count"] == 1 else "images")
    share = _percent(found["count"] / split["images"]) + "; " if split["images"] else ""
    return f"{found['count']:,} of {_many(split['images'], 'image')} ({share}{label} {_some(shown, found['count'])})"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _span(low: float, high: float) -> str:
    return f"{100 * low:.3g} to {100 * high:.3g}"


def _size(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _some(texts: Iterable[str], count: int = 0) -> str:
    """The first few of *texts*, and how many more there are: *count* in all, where that is more than the texts."""
    listed = list(texts)
    more = max(len(listed), count) - len(listed[:NAMED])
    return ", ".join(listed[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _named(names: Iterable[str]) -> str:
    return _some(map(repr, names))
