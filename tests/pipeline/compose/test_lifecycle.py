"""`make up` and `make down`: what they check, generate and report, with shell scripts in place of docker."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from components.errors import ConfigError, Failure, Unavailable
from pipeline.compose import credentials, lifecycle
from pipeline.compose.docker_cli import Engine
from pipeline.compose.environment import variables
from tests.conftest import CLEAN, ROOT

Program = Callable[[str], dict[str, str]]


@pytest.fixture
def docker(tmp_path: Path) -> Program:
    """Write a `docker` of shell commands; returns the environment in which it is the one that is called."""

    def make(script: str) -> dict[str, str]:
        program = tmp_path / "docker"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return {"PATH": f"{tmp_path}:/usr/bin:/bin", "SECRETS": str(tmp_path / "secrets")}

    return make


def up(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-S", "-m", "pipeline.compose", "up"],  # -S: no installed package is found
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_without_docker_it_says_what_to_install(tmp_path: Path) -> None:
    """And what works without containers."""
    done = up({"PATH": str(tmp_path)})
    assert done.returncode == 2
    assert done.stderr == (
        "error: there is no docker on this machine; install Docker Engine with its compose plugin, then: make up. "
        "Without containers: make airflow\n"
    )


def test_without_the_compose_plugin_it_says_what_to_install(docker: Program) -> None:
    """Docker itself only says that there is no such command."""
    done = up(docker("echo \"docker: 'compose' is not a docker command.\" >&2; exit 1"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: docker has no compose plugin; install it")


def test_without_an_engine_it_says_how_to_start_it(docker: Program) -> None:
    """With the reason that docker gives."""
    done = up(docker('[ "$1" = compose ] && echo v2 && exit 0; echo Cannot connect to the Docker daemon. >&2; exit 1'))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: the container engine does not answer (Cannot connect to the Docker daemon.)")
    assert "systemctl start docker" in done.stderr


def test_a_port_that_is_taken_is_reported_before_anything_is_built(docker: Program) -> None:
    """With a free one to use."""
    environment = docker('[ "$1" = version ] || [ "$2" = version ] && echo 1; exit 0')
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} on 127.0.0.1 .* make up PORT={port + 1}"):
            lifecycle.up({**environment, "PORT": str(port)})
    assert not Path(environment["SECRETS"]).exists()


def test_all_wrong_variables_are_reported_at_once(tmp_path: Path) -> None:
    """Each with what was expected."""
    tmp_path.chmod(0o755)
    wrong = {"PORT": "http", "WORKERS": "0", "SOURCE": "mnits", "MNIST_DIR": "/nowhere", "SETTINGS": str(tmp_path)}
    with pytest.raises(ConfigError) as caught:
        variables(wrong, "2")
    report = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == len(wrong)
    assert all(f"{name} is" in report for name in wrong)


def test_one_port_for_two_is_refused() -> None:
    """Before the engine refuses it in words of its own."""
    with pytest.raises(ConfigError, match="PORT and MLFLOW_PORT are both 8080"):
        variables({"MLFLOW_PORT": "8080"}, "2")


def test_paths_are_absolute_wherever_compose_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of images is mounted under its name, after which the model is named."""
    (tmp_path / "animals").mkdir()
    (tmp_path / "mnist").mkdir()
    monkeypatch.chdir(tmp_path)
    values = variables({"SOURCE": "animals", "MNIST_DIR": "mnist"}, "2")
    assert values["IMAGES"] == str(tmp_path / "animals")
    assert values["PIPELINE_INGEST_SOURCE"] == "/data/images/animals"
    assert values["IMAGES_NAME"] == "animals"
    assert values["MNIST_DIR"] == str(tmp_path / "mnist")


def test_a_folder_of_settings_files_is_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONFIG=FOLDER as for `make airflow`, a model for each file; a CONFIG that is a file is for the other targets."""
    (tmp_path / "models").mkdir(0o755)
    (tmp_path / "models" / "receipts.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert variables({"CONFIG": "models"}, "2")["SETTINGS"] == str(tmp_path / "models")
    assert variables({"CONFIG": "models/receipts.toml"}, "2")["SETTINGS"] == variables({}, "2")["SETTINGS"]


@pytest.mark.skipif(sys.platform != "linux", reason="only there are the containers' users other users")
def test_a_folder_that_the_containers_cannot_read_is_reported(tmp_path: Path) -> None:
    """Their user is not the one that starts them; the message has the command that lets it in, for each folder."""
    names = ("SETTINGS", "MNIST_DIR", "SOURCE")
    for name in names:
        (tmp_path / name).mkdir(0o700)
    (tmp_path / "SETTINGS" / "settings.toml").touch()
    with pytest.raises(ConfigError) as caught:
        variables({name: str(tmp_path / name) for name in names}, "2")
    assert [problem.rpartition(": ")[2] for problem in caught.value.problems] == [
        f"chmod -R o+rX {tmp_path / name}" for name in names
    ]


def test_a_named_source_is_passed_on() -> None:
    """And none is, where the settings file names it."""
    assert variables({"SOURCE": "digits"}, "2")["PIPELINE_INGEST_SOURCE"] == "digits"
    assert "PIPELINE_INGEST_SOURCE" not in variables({"SOURCE": ""}, "2")


def test_secrets_are_generated_once_and_differ_everywhere(tmp_path: Path) -> None:
    """No two installations share one; a second start uses those of the first."""
    here, there = tmp_path / "here", tmp_path / "there"
    credentials.ensure(here, "")
    credentials.ensure(there, "")
    texts = {file.name: file.read_text() for file in here.iterdir()}
    assert texts.keys() == credentials.GENERATORS.keys()
    assert all(text != (there / name).read_text() for name, text in texts.items())
    credentials.ensure(here, "some_volume")
    assert texts == {file.name: file.read_text() for file in here.iterdir()}
    assert len(credentials.password(here)) >= 12


def test_no_other_user_can_read_the_secrets(tmp_path: Path) -> None:
    """The folder is closed; the files are readable, because the users inside the containers have other numbers."""
    before = os.umask(0o077)
    try:
        credentials.ensure(tmp_path / "secrets", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "secrets").iterdir()} == {0o644}


def test_no_secrets_are_generated_for_an_old_database(tmp_path: Path) -> None:
    """They would not open it; the message says both ways out."""
    with pytest.raises(
        ConfigError, match=r"the volume retraining_postgres was created with it; .* make down VOLUMES=1"
    ):
        credentials.ensure(tmp_path / "secrets", "retraining_postgres")
    assert not (tmp_path / "secrets").exists()


def test_the_log_of_a_service_that_failed_is_shown(docker: Program) -> None:
    """The service that is unhealthy is named, with the end of its log."""
    containers = '{"Service":"redis","Name":"r","State":"running","Health":"unhealthy","ExitCode":0}'
    environment = docker(
        f"case \"$4\" in ps) echo '{containers}';; logs) printf '\\033[2Kout of memory\\n';; up) exit 1;; esac"
    )
    with pytest.raises(Unavailable, match="redis did not start; the end of its log:\nout of memory"):
        lifecycle.start(Engine(environment))


def test_compose_waits_until_all_services_are_healthy(
    docker: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its own option, for ten minutes at most; meanwhile its last line is repeated."""
    monkeypatch.setattr(lifecycle, "SECONDS_BETWEEN_LINES", 0.1)
    script = f"echo $@ > {tmp_path}/arguments; echo Container mlflow Created; echo Container mlflow Waiting; sleep 0.5"
    lifecycle.start(Engine(docker(script)))
    assert "up --detach --wait --wait-timeout 600 --no-build" in (tmp_path / "arguments").read_text()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "starting the containers"
    assert lines[1].endswith(" s  Container mlflow Waiting")


def test_a_service_that_never_becomes_healthy_fails_the_start(docker: Program) -> None:
    """Compose itself says so where no container failed."""
    environment = docker('case "$4" in ps) ;; up) echo "application not healthy after 10m0s" >&2; exit 1;; esac')
    with pytest.raises(Unavailable, match="the containers do not start: application not healthy after 10m0s"):
        lifecycle.start(Engine(environment))


def test_a_build_that_fails_says_why(docker: Program) -> None:
    """The last line of its output."""
    environment = docker('echo "step 3"; echo "no space left on device" >&2; exit 1')
    with pytest.raises(Failure, match=r"cannot be built: no space left on device; .* call make up again"):
        lifecycle.build(Engine(environment))


def test_down_says_what_is_kept(docker: Program, capsys: pytest.CaptureFixture[str]) -> None:
    """The secrets stay with the volumes, and go with them."""
    environment = docker("echo v2")
    secrets = Path(environment["SECRETS"])
    credentials.ensure(secrets, "")
    lifecycle.down(environment, volumes=False)
    assert "make up continues with them" in capsys.readouterr().err
    assert secrets.is_dir()
    lifecycle.down(environment, volumes=True)
    assert "are deleted" in capsys.readouterr().err
    assert not secrets.exists()


def test_runs_record_the_commit_of_the_image(tmp_path: Path) -> None:
    """Outside a repository, as in a container, it is the commit that the image was built from."""
    code = "from pipeline.run_record import git_commit; print(git_commit())"
    environment = {**CLEAN, "PIPELINE_COMMIT": "0123abc", "PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "0123abc\n"
