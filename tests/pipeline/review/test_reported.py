"""What users of the server called wrong, as a review reads it."""

import base64
import json
from pathlib import Path
from typing import Any

from pipeline.review.reported import read

PNG = b"\x89PNG\r\n\x1a\n"


def report(png: bytes = PNG, **changed: Any) -> str:
    entry = {"time": 1.8e9, "model": "m", "version": "2", "label": "7", "answer": "1", "confidence": 0.75}
    return json.dumps(entry | {"picture": base64.b64encode(png).decode()} | changed) + "\n"


def test_a_report_is_read_with_what_its_user_said(tmp_path: Path) -> None:
    """And what the model had answered; of one picture, the last report counts."""
    file = tmp_path / "wrong.jsonl"
    file.write_text(report(label="4") + report(PNG + b"other") + report())
    first, second = read(file, "m", {"1", "4", "7"})
    assert (first.label, first.answer, first.png) == ("7", "1", PNG)
    assert first.reason == "a user says '7'; version 2 answered '1' with a probability of 75.0 %"
    assert first.when.startswith("2027-01-15")
    assert second.png == PNG + b"other"


def test_what_is_no_report_about_the_model_is_left_out(tmp_path: Path) -> None:
    """Of another model, of a class that there is no more, torn, and what somebody else wrote."""
    file = tmp_path / "wrong.jsonl"
    lines = [
        *(report(model="other"), report(label="eight"), report(b"GIF89a"), report(picture="no base64!")),
        *(report(time=1e300), report(time=float("nan"))),
        *("[]\n", "nonsense\n", '{"model": "m"}\n', "\n", report(confidence=None), report()[:-40]),
    ]  # fmt: skip
    file.write_text("".join(lines))
    assert read(file, "m", {"7"}) == []
    assert read(tmp_path / "missing.jsonl", "m", {"7"}) == []
    assert read(tmp_path, "m", {"7"}) == []
