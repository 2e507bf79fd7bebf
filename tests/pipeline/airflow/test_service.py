"""`make airflow-service`: the files of systemd and launchd, checked without enabling them."""

import plistlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.airflow.standalone import service
from tests.conftest import CLEAN, ROOT

NAME = "retraining-airflow-8181"
ODD = 'US$ 100% "new" John\'s \\ set'  # a folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace of a user with a home folder of their own, and settings in the environment."""
    home = tmp_path / ODD
    settings = tmp_path / "settings.toml"
    settings.write_text("[train]\nepochs = 3\n")
    for name in ("XDG_CONFIG_HOME", "PIPELINE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    chosen = {"HOME": tmp_path, "PIPELINE_HOME": home, "PIPELINE_CONFIG": settings, "PIPELINE_TRAIN_SEED": 7}
    for name, value in chosen.items():
        monkeypatch.setenv(name, str(value))
    return home


@pytest.fixture
def unit(home: Path, tmp_path: Path) -> Path:
    assert service.main(["--port", "8181"]) == 0
    return tmp_path / ".config" / "systemd" / "user" / f"{NAME}.service"


def test_systemd_accepts_the_unit(unit: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say about it."""
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("systemd is not installed")
    environment = {**CLEAN, "XDG_RUNTIME_DIR": str(tmp_path)}
    command = [analyze, "--user", "verify", str(unit)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_starts_airflow_with_the_present_settings(unit: Path, home: Path, tmp_path: Path) -> None:
    """Command, folder and variables, by absolute paths, in systemd's quotes; its owner alone can read them."""
    lines = unit.read_text().splitlines()
    python = f'"{sys.executable}" "-m" "pipeline.airflow"'
    assert f'ExecStart={python} "--host" "127.0.0.1" "--port" "8181" "--mlflow-port" "5000"' in lines
    assert f"WorkingDirectory={ROOT}" in lines
    escaped = str(home).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    assert f'Environment="PIPELINE_HOME={escaped}"' in lines
    assert f'Environment="PIPELINE_CONFIG={tmp_path / "settings.toml"}"' in lines
    assert 'Environment="PIPELINE_TRAIN_SEED=7"' in lines
    assert not any("LANG=" in line or "HOME=/" in line.replace("PIPELINE_HOME=", "") for line in lines)
    assert unit.stat().st_mode & 0o777 == 0o600


def test_the_unit_is_started_again_whenever_it_ends(unit: Path) -> None:
    """For ever, unless it is stopped; Ctrl-C's status and that of SIGTERM are no failures."""
    text = unit.read_text()
    assert "Restart=always" in text
    assert "StartLimitIntervalSec=0" in text
    assert "SuccessExitStatus=129 130 143" in text


@pytest.mark.parametrize(
    ("platform", "commands"),
    [
        ("linux", ["user enable --now", "loginctl enable-linger", "user status", "journalctl --user", "disable --now"]),
        ("darwin", ["launchctl bootstrap", "launchctl print", "tail -f", "launchctl bootout"]),
    ],
)
def test_the_commands_are_printed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], platform: str, commands: list[str]
) -> None:
    """Those that enable it, show it and remove it, for each service manager."""
    monkeypatch.setattr(sys, "platform", platform)
    assert service.main(["--port", "8181"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("wrote ")
    assert all(command in said for command in commands)
    assert said.count(NAME) > len(commands) / 2


def test_the_agent_of_launchd(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A property list that starts the same command with the same settings, at login and whenever it ends."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert service.main(["--port", "8181"]) == 0
    agent = plistlib.loads((tmp_path / "Library" / "LaunchAgents" / f"{NAME}.plist").read_bytes())
    assert (agent["Label"], agent["RunAtLoad"], agent["KeepAlive"]) == (NAME, True, True)
    assert agent["ProgramArguments"][:3] == [sys.executable, "-m", "pipeline.airflow"]
    assert agent["EnvironmentVariables"]["PIPELINE_HOME"] == str(home)
    assert agent["WorkingDirectory"] == str(ROOT)


def test_wrong_settings_write_no_service(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are reported as `make airflow` would."""
    (tmp_path / "settings.toml").write_text("[train]\nepoch = 3\n")
    assert service.main([]) == 2
    assert "did you mean 'train.epochs'?" in capsys.readouterr().err
    assert not (tmp_path / ".config").exists()


def test_make_writes_it(home: Path, tmp_path: Path) -> None:
    """The target passes its ports, its host and its settings file on."""
    line = ["make", "--dry-run", "airflow-service", "PORT=8181", "HOST=0.0.0.0", "CONFIG=settings.toml"]
    done = subprocess.run(line, cwd=ROOT, env=CLEAN, capture_output=True, text=True, check=True)
    assert "pipeline.airflow.standalone.service --host 0.0.0.0 --port 8181 --mlflow-port 5000" in done.stdout
