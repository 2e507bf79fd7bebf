"""The changes of the code that are kept with a version."""

import pytest

from components.register.provenance import CHANGES
from pipeline.provenance import LARGEST_CHANGES, LARGEST_TEXT, kept, unpacked


def text(size: int) -> bytes:
    return (b"+ a line of a diff\n" * (size // 19 + 1))[:size]


def test_a_short_diff_is_kept_as_it_is() -> None:
    """MLflow's page shows it."""
    assert kept(b"") == {}
    assert kept(text(LARGEST_TEXT)) == {CHANGES: text(LARGEST_TEXT)}


@pytest.mark.parametrize("size", [LARGEST_TEXT + 1, LARGEST_CHANGES], ids=["over a megabyte", "ten megabytes"])
def test_a_long_diff_is_packed_the_same_each_time(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever that is."""
    ((name, content),) = kept(text(size)).items()
    assert name == "provenance/changes.diff.gz"
    assert len(content) < size / 100
    assert unpacked(name, content) == text(size)
    monkeypatch.setattr("time.time", lambda: 1e9)
    assert kept(text(size)) == {name: content}


def test_a_diff_that_is_too_long_is_not_kept_which_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """When the version is registered, as it is too late when somebody wants to make it again."""
    assert kept(text(LARGEST_CHANGES + 1)) == {}
    assert "since its commit have 10.0 MB, of which at most 10.0 MB are kept" in capsys.readouterr().err


def test_a_damaged_file_is_no_diff() -> None:
    """Whatever is left of it has another sha256, which is compared afterwards."""
    ((name, content),) = kept(text(LARGEST_CHANGES)).items()
    assert unpacked(name, content[: len(content) // 2]) != text(LARGEST_CHANGES)
    assert unpacked(name, b"no archive") == b""
    assert unpacked(CHANGES, b"as it is") == b"as it is"
