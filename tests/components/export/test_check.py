"""The check of exported files: parity with Keras, loss of accuracy, budgets of size and latency."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.export.check import check
from components.export.formats import format_of
from components.findings import errors
from components.settings.sections import FORMATS, Gate

ROOT = Path(__file__).resolve().parents[3]


def write_parity(folder: Path, **changes: dict[str, Any]) -> Path:
    same = {"correct": 990, "accuracy": 0.99, "agree": 1000, "max_difference": 1e-6, "bytes": 1}
    same |= {"gained": 0, "lost": 0}
    formats = {name: same | {"path": format_of(name).path} | changes.get(name, {}) for name in FORMATS}
    parity = {"n": 1000, "keras": {"correct": 990, "accuracy": 0.99}, "formats": formats}
    (folder / "parity.json").write_text(json.dumps(parity))
    return folder


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"saved_model": {"agree": 999}}, ["saved_model gives another class than the Keras model for 1 of 1,000"]),
        ({"tflite": {"max_difference": 1.1e-4}}, ["model.tflite gives"]),
        ({"tflite": {"max_difference": 1e-4}}, []),
        ({"int8": {"correct": 989, "agree": 900, "max_difference": 0.2}}, []),
        (
            {"int8": {"correct": 985, "lost": 5}},
            ["model-int8.tflite is right for 985 of 1,000 test images, the Keras model for 990"],
        ),
        ({"int8": {"correct": 999}}, []),
        ({"float16": {"correct": 989, "agree": 999, "max_difference": 0.01}}, []),
        ({"onnx": {"agree": 999}, "keras": {"agree": 999}}, ["model.onnx gives", "model.keras gives"]),
        ({"pruned": {"correct": 980, "lost": 14, "gained": 4}}, ["model-pruned.tflite is right for 980"]),
        (
            {"tflite": {"agree": 0}, "saved_model": {"agree": 0}, "int8": {"correct": 0, "lost": 990}},
            ["saved", "model", "model"],
        ),
    ],
)
def test_the_check_judges_each_format_by_its_own_measure(
    tmp_path: Path, changes: dict[str, Any], expected: list[str]
) -> None:
    """Float formats must agree image by image; the others may not lose more than gate.max_export_loss."""
    found = errors(check(write_parity(tmp_path, **changes), Gate(max_export_loss=0.001), {}))
    assert len(found) == len(expected)
    assert all(text.startswith(start) for text, start in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("lost", "gained", "bound", "severities"),
    [
        (1, 0, 0.001, []),
        (1, 0, 0.0005, ["warning"]),
        (4, 0, 0.0005, ["warning"]),
        (5, 0, 0.0005, ["error"]),
        (9, 4, 0.0005, ["warning"]),
        (13, 4, 0.0005, ["error"]),
        (13, 4, 0.01, []),
        (1, 0, 0.0, ["error"]),
        (3, 3, 0.0, []),
        (0, 1, 0.0, []),
    ],
)
def test_a_loss_that_may_be_chance_is_a_warning(
    tmp_path: Path, lost: int, gained: int, bound: float, severities: list[str]
) -> None:
    """An error takes a loss beyond the bound, and images enough to show it; with a bound of 0, one image."""
    counts = {"correct": 990 - lost + gained, "lost": lost, "gained": gained}
    findings = check(write_parity(tmp_path, int8=counts), Gate(max_export_loss=bound), {})
    assert [finding.severity for finding in findings] == severities


def test_a_loss_is_reported_in_points_with_what_is_allowed_and_what_to_do(tmp_path: Path) -> None:
    """Or why it is no more than a warning."""
    start = "model-int8.tflite is right for {} of 1,000 test images, the Keras model for 990: "
    allowed = "and at most 0.05 are allowed (gate.max_export_loss); "

    def text(lost: int) -> str:
        counts = {"correct": 990 - lost, "lost": lost, "gained": 0}
        (finding,) = check(write_parity(tmp_path, int8=counts), Gate(max_export_loss=0.0005), {})
        return finding.text

    assert text(5) == f"{start.format(985)}0.50 points less, {allowed}{format_of('int8').remedy}"
    assert text(2) == f"{start.format(988)}0.20 points less, {allowed}so few images may show that by chance (p = 0.25)"


BUDGETED = {"tflite": {"bytes": 90_000, "median_ms": 0.25}, "int8": {"bytes": 24_577, "median_ms": 0.375}}


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({}, []),
        ({"max_bytes": 24_577}, []),
        ({"max_bytes": 30_000, "max_latency_ms": 1.0, "max_latency_ratio": 2.0}, []),
        ({"max_bytes": 24_576}, ["model-int8.tflite has 24,577 bytes; at most 24,576 are allowed (gate.max_bytes). "]),
        ({"max_bytes": 24_576, "budget_format": "tflite"}, ["model.tflite has 90,000 bytes; at most 24,576 are "]),
        ({"max_latency_ms": 0.375}, []),
        ({"max_latency_ms": 0.37}, ["model-int8.tflite takes 0.375 ms for one image on one thread; at most 0.37 are "]),
        ({"max_latency_ratio": 1.5}, []),
        ({"max_latency_ratio": 1.25}, ["model-int8.tflite takes 1.50 times as long for one image as model.tflite; at"]),
        ({"max_latency_ratio": 1.25, "max_bytes": 1, "max_latency_ms": 0.1}, ["model", "model", "model"]),
    ],
)
def test_budgets_bound_one_format(tmp_path: Path, bounds: dict[str, Any], expected: list[str]) -> None:
    """Its size and latency, absolute and relative to the float file; each sentence ends with what to type."""
    found = errors(check(write_parity(tmp_path), Gate(**bounds), BUDGETED))
    assert len(found) == len(expected)
    assert all(text.startswith(start) for text, start in zip(found, expected, strict=True))
    assert all("--set gate.max_bytes=" in text or "--force export" in text for text in found)


def test_the_check_loads_nothing_heavy(tmp_path: Path) -> None:
    """It judges on every run, so it reads one small file and imports neither NumPy nor TensorFlow."""
    write_parity(tmp_path)
    code = (
        "import sys; from pathlib import Path; from components.export.check import check;"
        "from components.settings.sections import Gate;"
        "print(check(Path(sys.argv[1]), Gate(), {}), [m for m in ('numpy', 'tensorflow') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "[] []\n"
