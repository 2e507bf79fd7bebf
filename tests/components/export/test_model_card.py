"""The model card: what it says, whatever the names hold and whichever formats there are."""

from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from components.artifact_files import Metrics, ModelInfo, NormalizedData, Parity
from components.export.model_card import model_card
from tests.support.model_description import described

ODD = ["a | b", "<script>", "two\nlines", "*bold*", "日本語"]


def card(folder: Path, classes: list[str] = ODD, formats: tuple[str, ...] = ("tflite",), **more: Any) -> str:
    """The card of a model of *classes* in these *formats*."""
    counts = {"correct": 9, "accuracy": 0.9, "bytes": 1000, "gzip_bytes": 900}
    named = {name: {**counts, "path": f"model-{name}"} for name in formats}
    info = {
        **described(classes, model='the "best": pets'),
        "model_sha256": "0" * 64,
        "drawn": None,
        **{"accuracy": 0.9, "wilson_low": 0.5961, "wilson_high": 0.9821, "n": 10},
        "formats": named,
        **more,
    }
    data = {"source": "folder | of <b>", "name": "pets: 1", "images": {"train": 1000, "test": 10}}
    scores = [
        {"name": name, "recall": 1 - k / 10, "support": 5, "wilson_low": 0.1, "wilson_high": 0.9}
        for k, name in enumerate(classes)
    ]
    metrics: dict[str, Any] = {"per_class": scores, **more}
    parity = {"n": 10, "keras": counts, "formats": named}
    (folder / "model.tflite").write_text("a model")
    return model_card(
        cast(ModelInfo, info),
        "0123abc",
        cast(NormalizedData, data),
        cast(Metrics, metrics),
        cast(Parity, parity),
        folder,
    )


def test_the_front_matter_is_yaml_without_a_license(tmp_path: Path) -> None:
    """As Hugging Face's model cards have it; a name may hold what means something in YAML."""
    _, front, body = card(tmp_path).split("---\n", 2)
    matter = yaml.safe_load(front)
    assert matter["pipeline_tag"] == "image-classification"
    assert "license" not in matter
    (entry,) = matter["model-index"]
    assert entry["name"] == 'the "best": pets'
    (result,) = entry["results"]
    assert result["dataset"]["name"] == "pets: 1"
    assert result["metrics"] == [{"type": "accuracy", "value": 0.9}]
    assert body.startswith('\n# the "best": pets, version 12\n')


def test_names_are_text_whatever_they_hold(tmp_path: Path) -> None:
    """No cell of a table more, no markup, one line each."""
    text = card(tmp_path)
    assert "- Classes: a \\| b, \\<script>, two lines, \\*bold\\*, 日本語\n" in text
    assert "| a \\| b | 100.00 % | 10.00 to 90.00 % | 5 |" in text
    assert "- Source: folder \\| of \\<b>" in text


def test_the_weakest_classes_come_first(tmp_path: Path) -> None:
    """Five of them."""
    text = card(tmp_path, [f"class {k}" for k in range(9)])
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| class ")]
    assert rows == ["| class", *(f"| class {k}" for k in (8, 7, 6, 5, 4))]


def test_a_thousand_classes_are_listed_in_their_file(tmp_path: Path) -> None:
    """The card names the first ones."""
    text = card(tmp_path, [f"class {k}" for k in range(1000)])
    assert "class 19 and 980 more (labels.txt)" in text


@pytest.mark.parametrize(
    ("more", "there", "missing"),
    [
        ({}, "It was not tested on images with noise", "on average"),
        ({"corruption_error": 0.25}, "noise, blur and the like, 25.00 % are wrong on average", "It was not tested on"),
        ({"temperature": 1.5}, "## Limits", "were not calibrated"),
        ({"drawn": {"box": 20, "centred": True}}, "scaled to 20 pixels and with their centre of mass in the", "Hello"),
        ({"drawn": {"box": 28, "centred": False}}, "scaled to 28 pixels and with their middle in the", "of mass"),
    ],
)
def test_what_was_not_measured_is_a_limit(tmp_path: Path, more: dict[str, Any], there: str, missing: str) -> None:
    """And what was is a figure."""
    text = card(tmp_path, **more)
    assert there in text
    assert missing not in text


def test_a_quantized_file_answers_in_bytes(tmp_path: Path) -> None:
    """Where it is the one to be served, every language divides."""
    text = card(tmp_path, formats=("int8",))
    assert '["index"])[0] / 256' in text
    assert "arrayOf(ByteArray(5))" in text
    assert "typed_output_tensor<std::uint8_t>" in text
    assert '"model-int8.tflite"' in text


def test_without_a_file_for_litert_the_card_says_so(tmp_path: Path) -> None:
    """There is nothing that the four languages could run."""
    text = card(tmp_path, formats=("keras",))
    assert "No file for LiteRT was exported" in text
    assert "```" not in text
