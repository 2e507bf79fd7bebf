import csv
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components import metrics
from components.data import problems
from components.data.problems import ImageAt, Problem
from components.formatting import plain, sentence, size
from components.proportions import wilson
from pipeline.report.accuracy_axis import accuracy_axis
from pipeline.report.content import Report, Verdict
from pipeline.report.html import render
from pipeline.run_record import Done

NASTY = "<script>alert('7')</script>"
PICTURES = (
    *("confusion", "learning-curves", "augmented", "mistakes", "calibration"),
    *("slices", "suspects", "training-suspects", "corruption-curves", "corruption-samples"),
)


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def draw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), "navy").save(path)


def ingested(folder: Path, classes: list[str]) -> None:
    about = {"source": "folder", "name": "shirts", "classes": classes, "shape": [28, 20, 1]}
    write_json(folder / "ingest" / "source.json", about | {"images": {"train": 90, "test": 10}})


def validated(folder: Path, classes: list[str]) -> None:
    none = {"count": 0, "examples": []}
    split = {"images": 90, "pixels": {"mean": 33.3, "deviation": 78.6}, "constant": none}
    split |= {"duplicates": none, "contradictions": none, "near_duplicates": none, "faint": none}
    statistics = {"classes": classes, "splits": {"test": split | {"pixels": None}, "train": split}}
    write_json(
        folder / "validate" / "statistics.json", statistics | {"leaked": {"count": 3}, "near_leaked": {"count": 0}}
    )
    draw(folder / "validate" / "pictures" / "class-histogram.png")
    for number in range(min(len(classes), 50)):
        draw(folder / "validate" / "pictures" / f"contact-{number:03}-name.png")


def normalized(folder: Path, classes: list[str]) -> None:
    data = {"name": "shirts", "classes": classes, "shape": [28, 20, 1], "duplicates_removed": 4}
    write_json(folder / "normalize" / "data.json", data | {"images": {"train": 80, "validation": 6, "test": 10_000}})


def trained(folder: Path) -> None:
    summary = {"parameters": 421_642, "best_epoch": 2, "epochs": 5, "train_accuracy": 0.99, "stopped_early": True}
    write_json(folder / "train" / "summary.json", summary)
    with (folder / "train" / "history.csv").open("w") as file:
        csv.writer(file).writerows(
            [["epoch", "loss", "accuracy", "val_loss", "val_accuracy"], [1, 0.3, 0.9, 0.1, 0.98]]
        )


def evaluated(folder: Path, classes: list[str], wrong: int = 3) -> None:
    n, k = 10_000, len(classes)
    matrix = np.zeros((k, k), np.int64)
    np.fill_diagonal(matrix, n // k)
    matrix[0, 0] += n - matrix.sum()
    matrix[-1, -2:] += wrong, -wrong
    low, high = wilson(n - wrong, n)
    rows = zip(classes, *metrics.scores(matrix), matrix.sum(axis=1), strict=True)
    names = ("name", "precision", "recall", "f1", "support")
    measured: dict[str, Any] = {
        "n": n, "correct": n - wrong, "accuracy": 1 - wrong / n, "wilson_low": low, "wilson_high": high, "loss": 0.0213,
        "macro_f1": metrics.macro_f1(matrix), "expected_calibration_error": 0.0042, "classes": classes,
        "calibration": [{"low": 0, "high": 1, "count": n}], "confusion": matrix.tolist(),
        "per_class": [{**dict(zip(names, row, strict=True)), "support": int(row[-1])} for row in rows],
        "mistakes": [{"index": i, "truth": 0, "predicted": 1, "probability": 0.97} for i in range(min(wrong, 36))],
        "train_accuracy": 0.99, "validation_accuracy": 0.98, "gap": -0.01,
        "training": {"best_epoch": 2, "epochs": 5, "stopped_early": True},
    }  # fmt: skip
    part = {"property": "brightness", "unit": "0 to 255", "part": "dark", "low": None, "high": 33.25, "n": 4_321}
    part |= {"correct": 4_300, "accuracy": 4_300 / 4_321, "wilson_low": 0.9926, "wilson_high": 0.9968}
    splits = {"test": {"n": n, "suspects": 1}, "validation": {"n": 6, "suspects": 0}}
    splits["train"] = {"n": 80, "suspects": 7}
    measured |= {"slices": {"drawn": 0.12, "parts": [part]}, "suspects": splits, "corruption_error": 0.25}
    separable = {"separation": 0.98, "right": 0.99, "wrong": 0.6}
    measured |= {"confidence": separable if wrong else {"separation": None, "right": 0.99, "wrong": None}}
    write_json(folder / "evaluate" / "metrics.json", measured)
    suspect = {"split": "test", "index": 4_711, "truth": 0, "predicted": 1, "given": 0.01, "probability": 0.98}
    doubted = suspect | {"split": "train", "file": "ones/2.png", "given": 0.0667, "probability": 0.8667}
    found = {"splits": splits, "suspects": [suspect], "training_suspects": [doubted]}
    write_json(folder / "evaluate" / "suspects.json", found)
    kind = {"name": "noise", "meaning": "share", "strengths": [0.1, 0.2], "wrong": [250, 250], "error": 0.25}
    corrupted = {"n": 1000, "clean_wrong": 7, "mean_error": 0.25, "digest": "d", "kinds": [kind]}
    write_json(folder / "evaluate" / "corruptions.json", corrupted)
    for name in PICTURES:
        draw(folder / "evaluate" / "pictures" / f"{name}.png")


def exported(folder: Path) -> None:
    form = {"path": "model.tflite", "bytes": 1_690_000, "correct": 9997, "accuracy": 0.9997, "agree": 10_000}
    form["gzip_bytes"] = 91_000
    pruned = {"path": "model-pruned.tflite", "agree": 9_991, "zeros": 0.7978}
    formats = {"tflite": form | {"max_difference": 1.2e-6}, "pruned": form | {"max_difference": 0.2} | pruned}
    write_json(folder / "export" / "parity.json", {"n": 10_000, "keras": {"accuracy": 0.9997}, "formats": formats})


def full(folder: Path, classes: list[str], wrong: int = 3) -> Report:
    """The report of a run that completed, over artifacts in *folder*."""
    ingested(folder, classes)
    validated(folder, classes)
    normalized(folder, classes)
    trained(folder)
    evaluated(folder, classes, wrong)
    exported(folder)
    names = ("ingest", "validate", "normalize", "train", "evaluate", "export")
    right = {"n": 10_000, "challenger_correct": 9997, "champion_correct": 9990}
    return Report(
        run="20261122-042233",
        started="2026-11-22T04:22:33+00:00",
        source="shirts",
        verdict="promoted",
        reasons=["Version 3 is the champion."],
        warnings=["brightness of test is off"],
        model_name="shirts-classifier",
        model_version="3",
        aliases=["challenger", "champion"],
        artifacts={name: folder / name for name in names},
        pictures={name: folder / name / "pictures" for name in ("validate", "evaluate")},
        stages=[Done(name, "k" * 16, "d" * 64, "", made=True, seconds=1.25) for name in names],
        settings={
            "train.epochs": 5,
            "train.seed": 0,
            "train.augment": "shear=5,erase=0.2",
            "gate.min_accuracy": 0.98,
        },
        facts={"export": {"tflite": {"median_ms": 0.0584, "p99_ms": 0.2}}, "promote": {}},
        versions={"keras": "3.15.1"},
        git_commit="4be1f0c2a9d8",
        commands=["make pipeline SOURCE=shirts"],
        comparison=right | {"gained": 9, "lost": 2, "p": 0.065},
    )


def page_of(report: Report, folder: Path) -> str:
    render(report, folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


class Page(HTMLParser):
    """A page as a browser sees it: its tags, in order, and whether they are closed as they were opened."""

    VOID = ("meta", "img", "line", "circle", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data.split()

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def sections(self) -> list[str | None]:
        return [section["id"] for section in self.all("section")]


DIGITS = [str(i) for i in range(10)]
EVERYTHING = [
    *("accuracy", "data", "training", "diagnosis", "errors", "slices", "mistakes", "suspects", "calibration"),
    *("corruption", "export", "promotion", "lineage"),
]


def test_the_page_of_a_full_run_goes_from_the_verdict_to_the_lineage(tmp_path: Path) -> None:
    """The verdict comes first, then every section in its order, each with its figures."""
    page = Page(page_of(full(tmp_path, DIGITS), tmp_path))
    assert page.open == []
    assert page.sections == EVERYTHING
    assert page.text.index("Promoted") < page.text.index("Version 3 is the champion.") < page.text.index("99.97 %")
    for text in (
        "9,997 of 10,000 images; 95 % interval 99.91 to 99.99 %",
        "Brightness of test is off",
        "alias champion",
        "gate 98 %",
        "3 test images are also in the training split",
        "421,642",
        "eight random augmentations by train.augment: shear=5, erase=0.2.",
        "1.7 MB",
        "0.058",
        "91.0 kB",
        "79.8 % of the weights are 0",
        "0.065",
        "d" * 16,
        "make pipeline SOURCE=shirts",
    ):
        assert text in page.text


def test_a_comparison_of_models_with_other_classes_says_on_which(tmp_path: Path) -> None:
    """Which classes both know, which are new with the accuracy on them, and which are no longer known."""
    report = full(tmp_path, DIGITS)
    changed = {"both_classes": ["cat", "dog"], "added_classes": ["ant"], "removed_classes": ["<b>emu"]}
    counts = {"added_n": 40, "added_correct": 30}
    page = Page(page_of(replace(report, comparison={**(report.comparison or {}), **changed, **counts}), tmp_path))
    assert "accuracy on classes that the champion does not know 75.00 %" in page.text
    assert "on the same 10,000 test images of the classes that both models know: cat, dog. New: ant." in page.text
    assert "No longer known: <b>emu." in page.text


def test_the_report_names_the_review_of_its_suspects_and_mistakes(tmp_path: Path) -> None:
    """With the command for this model; where neither is there, there is nothing to review."""
    report = replace(full(tmp_path, DIGITS), review="python -m pipeline review --model shirts")
    command = "make review , or python -m pipeline review --model shirts"
    assert (
        f"Review 8 suspects and 3 mistakes, to keep, correct or drop each: {command}"
        in Page(page_of(report, tmp_path)).text
    )
    evaluated(tmp_path, DIGITS, wrong=1)
    assert "Review 8 suspects and 1 mistake, to keep" in Page(page_of(report, tmp_path)).text
    for file in ("suspects.json", "metrics.json"):
        path = tmp_path / "evaluate" / file
        document = json.loads(path.read_text())
        splits = document["splits" if file == "suspects.json" else "suspects"]
        splits |= {name: {"n": 80, "suspects": 0} for name in splits}
        path.write_text(json.dumps(document | ({"correct": 10_000} if file == "metrics.json" else {})))
    assert "make review" not in Page(page_of(report, tmp_path)).text


def test_the_analysis_is_shown_in_figures(tmp_path: Path) -> None:
    """Slices with counts and intervals, corruptions beside the champion's, label errors with index, the diagnosis."""
    report = full(tmp_path, DIGITS)
    corruption = {"champion": {"mean": 0.3125, "kinds": {"noise": 0.3125}}, "challenger": {}}
    page = Page(page_of(replace(report, comparison={**(report.comparison or {}), "corruption": corruption}), tmp_path))
    for text in (
        "No problem found",
        "dark up to 33.25 4,321 99.51 99.26 to 99.68",
        "only 12 % of the training images are drawings",
        "25.00 % mean error, 0.70 % without corruption; the previous champion has a mean error of 31.25 %",
        "noise share: 0.1, 0.2 25.0 25.0 25.0 31.2",
        "1 of 10,000 test images, 0 of 6 validation images",
        "The validation images only chose the best epoch.",
        "test 4711 0 1 1.00 98.00",
        "7 of 80 training images are suspected",
        "train ones/2.png 0 1 6.67 86.67",
    ):
        assert text in page.text
    over_fitted = replace(report, settings={"gate.max_overfit": 0.0, "train.dropout": 0.1})
    write_json(tmp_path / "evaluate" / "metrics.json", over_fitting(tmp_path))
    page = Page(page_of(over_fitted, tmp_path))
    assert "Over-fitting Accuracy on the training images is 2.00 points above" in page.text
    assert "train.dropout=0.3" in page.text


def over_fitting(folder: Path) -> dict[str, Any]:
    measured: dict[str, Any] = json.loads((folder / "evaluate" / "metrics.json").read_text())
    return measured | {"gap": 0.02, "train_accuracy": 1.0, "accuracy": 0.98, "wilson_high": 0.99}


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    """No address, no script, no style sheet, no font: every picture and every rule is inside the file."""
    text = page_of(full(tmp_path, DIGITS), tmp_path)
    page = Page(text)
    assert not re.findall(r"https?:|//[a-z]|@import|url\(", re.sub(r'src="data:[^"]*"', "", text))
    assert not {"script", "link", "iframe", "object", "embed"} & {name for name, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert all((image["src"] or "").startswith("data:image/png;base64,") for image in page.all("img"))


def test_the_page_can_be_read_without_seeing_it(tmp_path: Path) -> None:
    """Every picture has a text and a size, every drawing a label, every table heads, every link an aim."""
    page = Page(page_of(full(tmp_path, DIGITS), tmp_path))
    assert len(page.all("img")) == len(PICTURES) + 1 + len(DIGITS)
    assert all(image["alt"] and image["width"] and image["height"] for image in page.all("img"))
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in page.all("svg"))
    assert all(head["scope"] for head in page.all("th"))
    names = {attributes.get("id") for _, attributes in page.tags}
    assert {(link["href"] or "").removeprefix("#") for link in page.all("a")} == set(EVERYTHING) <= names
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1


def test_problems_are_named_by_file_with_pictures(tmp_path: Path) -> None:
    """Each problem has its sheet and its table, and the command that moves the files; nothing else is loaded for it."""
    report = replace(full(tmp_path, DIGITS), clean="python -m pipeline clean --source 'my pictures'")
    rows = [
        Problem(ImageAt("train", 3, "a/blank.png"), "a", problems.BLANK, "of one colour"),
        Problem(
            ImageAt("train", 4, "a/<b>.png"), "a", problems.DUPLICATE, "repeats a/2.png", ImageAt("test", 2, "a/2.png")
        ),
    ]
    problems.write(rows, tmp_path / "validate")
    draw(tmp_path / "validate" / "pictures" / "problem-duplicate.png")
    page = Page(page_of(report, tmp_path))
    assert page.sections == [*EVERYTHING[:2], "problems", *EVERYTHING[2:]]
    assert "Blank: 1" in page.text
    assert "a/<b>.png a train repeats a/2.png" in page.text
    assert "The first images of the table Duplicates" in [image["alt"] for image in page.all("img")]
    assert "clean --source 'my pictures'" in page.text


def test_class_names_cannot_inject_markup(tmp_path: Path) -> None:
    """A folder may be called <script>: its name is shown as text, in tables, in captions and in alternative texts."""
    text = page_of(full(tmp_path, [NASTY, '" onload="x']), tmp_path)
    page = Page(text)
    assert "<script" not in text
    assert NASTY in page.text
    assert f"Sample images of class {NASTY}" in [image["alt"] for image in page.all("img")]
    assert not [attributes for _, attributes in page.tags if "onload" in attributes]


REFUSAL = "accuracy 97.31 % is 0.69 points below the gate of 98 %"


@pytest.mark.parametrize(
    ("verdict", "at", "stages", "title", "sections"),
    [
        ("refused", "evaluate", 5, "Refused at evaluate", [*EVERYTHING[:10], "lineage"]),
        ("refused", "export", 6, "Refused at export", [*EVERYTHING[:11], "lineage"]),
        ("data rejected", "validate", 2, "Data rejected", ["data", "lineage"]),
        ("unfinished", "ingest", 1, "Unfinished", ["data", "lineage"]),
        ("unfinished", "", 0, "Unfinished", ["lineage"]),
        ("registered", "", 6, "Registered", [*EVERYTHING[:11], "lineage"]),
        ("undecided", "", 6, "Undecided", [*EVERYTHING[:11], "lineage"]),
        ("not promoted", "promote", 6, "Not promoted", [*EVERYTHING[:11], "lineage"]),
    ],
)
def test_what_a_run_did_not_make_is_left_out(
    verdict: Verdict, at: str, stages: int, title: str, sections: list[str], tmp_path: Path
) -> None:
    """A run that ended early has a page about what it made, headed by what happened, without dead links."""
    report = full(tmp_path, DIGITS)
    artifacts = dict(list(report.artifacts.items())[:stages])
    facts: dict[str, Any] = {"reasons": [REFUSAL], "model_name": None, "comparison": None}
    pictures = {stage: folder for stage, folder in report.pictures.items() if stage in artifacts}
    parts: dict[str, Any] = {"artifacts": artifacts, "pictures": pictures}
    page = Page(page_of(replace(report, verdict=verdict, at=at, **parts, **facts), tmp_path))
    assert page.text.index(title) < page.text.index(REFUSAL.capitalize())
    assert page.sections == sections
    assert [link["href"] for link in page.all("a")] == [f"#{section}" for section in sections]


def test_a_run_of_which_nothing_is_known_still_has_a_page(tmp_path: Path) -> None:
    """Without reasons the verdict explains itself; artifacts whose folders are empty are left out."""
    empty = dict.fromkeys(("ingest", "validate", "normalize", "train", "evaluate", "export"), tmp_path)
    page = Page(page_of(Report(run="r", started="", source="digits", verdict="refused", artifacts=empty), tmp_path))
    assert "The model did not pass a check" in page.text
    assert page.sections == ["lineage"]


def test_two_hundred_classes_are_listed_weakest_first_with_the_rest_folded(tmp_path: Path) -> None:
    """The page of many classes stays short: twenty classes and twenty contact sheets are shown, all can be unfolded."""
    page = Page(page_of(full(tmp_path, [f"class-{i}" for i in range(200)]), tmp_path))
    assert len(page.all("img")) == len(PICTURES) + 1 + 20
    assert "All 200 classes" in page.text
    listed = page.text[page.text.index("The weakest classes") : page.text.index("All 200 classes")]
    assert listed.count("class-") == 20
    assert listed.index("class-199 ") < listed.index("class-198 ") < listed.index("class-0 ")


def test_a_model_without_a_mistake_says_so(tmp_path: Path) -> None:
    """No pair of classes, no table of mistakes, and an interval that ends at 100 %."""
    page = Page(page_of(full(tmp_path, ["a", "b"], wrong=0), tmp_path))
    assert "No image was misclassified." in page.text
    assert "interval 99.96 to 100.00 %" in page.text
    assert "with the file or the index of each test image" not in page.text


def test_a_changed_setting_stands_out(tmp_path: Path) -> None:
    """Settings that differ from their defaults are counted and marked; the others are not."""
    page = Page(page_of(full(tmp_path, DIGITS), tmp_path))
    assert "All settings (3 changed, in bold)" in page.text
    assert len([row for row in page.all("tr") if row.get("class") == "changed"]) == 5  # under Training, and in the list


@pytest.mark.parametrize("right", [0, 1, 4990, 9731, 9800, 9999, 10_000])
@pytest.mark.parametrize("gate", [None, 0.0, 0.5, 0.98, 1.0])
def test_the_accuracy_axis_holds_everything_that_it_shows(right: int, gate: float | None) -> None:
    """Interval, accuracy, gate and two or more ticks lie on the drawing in the order of their values."""
    low, high = wilson(right, 10_000)
    measured: Any = {"wilson_low": low, "wilson_high": high, "accuracy": right / 10_000}
    axis = accuracy_axis(measured, gate)
    assert 0 <= axis.low <= axis.accuracy <= axis.high <= axis.width
    assert (axis.gate is None) == (gate is None)
    assert axis.gate is None or 0 <= axis.gate <= axis.width
    assert axis.gate is None or gate is None or (axis.gate <= axis.accuracy) == (gate <= right / 10_000)
    places = [tick.x for tick in axis.ticks]
    assert 2 <= len(places) <= 6
    assert places == sorted(places)


def test_rendering_loads_nothing_heavy_and_takes_well_under_a_second(tmp_path: Path) -> None:
    """A run with nothing to do writes its page too: no NumPy, TensorFlow or matplotlib."""
    full(tmp_path, DIGITS)
    script = (
        "import sys, time; from pathlib import Path; start = time.process_time()\n"
        "from pipeline.report.content import Report; from pipeline.report.html import render\n"
        "folder = Path(sys.argv[1]); artifacts = {p.name: p for p in folder.iterdir() if p.is_dir()}\n"
        "render(Report('r', '', 'digits', 'promoted', artifacts=artifacts), folder / 'report.html')\n"
        "print([m for m in sys.modules if m in ('numpy', 'tensorflow', 'matplotlib')], time.process_time() - start)"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True)
    loaded, seconds = ran.stdout.rsplit(maxsplit=1)
    assert loaded == "[]"
    assert float(seconds) < 1  # of the processor, whatever else runs on it; 0.3 s


def test_values_are_formatted_for_people() -> None:
    """Shares in percent, bytes as a size, nothing as nothing; keys lose their underscores."""
    assert plain({"train_accuracy": 0.99123, "bytes": 1_690_000}) == "train accuracy 99.12 %, bytes 1.7 MB"
    assert plain([1200, 0.00123456, True, None, ""]) == "1,200, 0.001235, yes, none, none"
    assert (plain([]), plain(123456.7), size(999), size(65_288)) == ("none", "123,457", "999 bytes", "65.3 kB")


def test_sentences_begin_with_a_capital_and_names_do_not_change() -> None:
    """A finding is shown as a sentence; a file or a setting at its beginning keeps its spelling."""
    assert sentence("accuracy is low") == "Accuracy is low"
    assert sentence("model.tflite is right") == "model.tflite is right"
    assert sentence("train: image 3 is grey") == "Train: image 3 is grey"
    assert sentence("") == ""


def test_a_page_holds_neither_credentials_nor_bytes_that_are_no_utf_8(tmp_path: Path) -> None:
    """The name of a file that a warning quotes would otherwise end the run that promoted the model."""
    report = replace(
        full(tmp_path, DIGITS),
        source="photos-\udce9",
        notes=["ignored: caf\udce9.txt"],
        warnings=["notes-\udce9.txt is no image; from http://user:secret@host/?token=secret"],
        settings={"ingest.mirror": "http://user:sec&ret@host/"},
    )
    page = page_of(report, tmp_path)
    text = page if isinstance(page, str) else str(page)
    assert "photos-\\xe9" in text
    assert "Ignored: caf\\xe9.txt" in text
    assert "notes-\\xe9.txt is no image; from http://***@host/?token=***" in text
    assert "ret@host" not in text
