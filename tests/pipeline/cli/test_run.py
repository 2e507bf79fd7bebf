"""The names that users give to runs."""

import json
from pathlib import Path

import pytest

from pipeline.cli.main import main


@pytest.mark.parametrize("name", ["../../elsewhere", "/tmp/elsewhere", "..", ".", "a\nb", "caf\udce9", "n" * 300])  # noqa: S108
def test_a_run_whose_name_no_folder_can_have_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is written: neither outside the workspace nor what MLflow refuses after the training."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "home"))
    assert main(["stage", "ingest", "--source", "digits", "--run", name]) == 2
    assert "expected a name for a folder, of at most 200 bytes" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_stage_runs_again_by_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Although its artifact exists; a stage that acts on the registry in every run knows no force."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "home"))
    for option, made in (("--json", True), ("--json", False), ("--force", True)):
        assert main(["stage", "ingest", "--source", "digits", "--json", option]) == 0
        assert json.loads(capsys.readouterr().out)["made"] == made
    assert main(["stage", "register", "--force"]) == 2
    assert "--force register has no effect" in capsys.readouterr().err
