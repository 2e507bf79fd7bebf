"""`make up` and `make down`: what they check, make and say before any container is started."""

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
from pipeline.compose import environment as variables
from pipeline.compose.docker_cli import Engine
from tests.conftest import CLEAN, ROOT

Program = Callable[[str], dict[str, str]]


@pytest.fixture
def docker(tmp_path: Path) -> Program:
    """Makes a `docker` of shell commands, and gives the environment in which it is the one that is found."""

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
    """And what does without containers."""
    done = up({"PATH": str(tmp_path)})
    assert done.returncode == 2
    assert done.stderr == (
        "error: there is no docker on this machine; install Docker Engine with its compose plugin, then: make up. "
        "Without containers: make airflow\n"
    )


def test_without_the_plugin_it_says_which(docker: Program) -> None:
    """Docker itself says no more than that there is no such command."""
    done = up(docker("echo \"docker: 'compose' is not a docker command.\" >&2; exit 1"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: docker has no compose plugin; install it")


def test_without_an_engine_it_says_how_to_start_it(docker: Program) -> None:
    """With the reason that docker gives."""
    done = up(docker('[ "$1" = compose ] && echo v2 && exit 0; echo Cannot connect to the Docker daemon. >&2; exit 1'))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: the container engine does not answer (Cannot connect to the Docker daemon.)")
    assert "systemctl start docker" in done.stderr


def test_a_port_that_is_taken_is_told_before_anything_is_built(docker: Program) -> None:
    """With another one to type."""
    environment = docker('[ "$1" = version ] || [ "$2" = version ] && echo 1; exit 0')
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} on 127.0.0.1 .* make up PORT={port + 1}"):
            lifecycle.up({**environment, "PORT": str(port)})
    assert not Path(environment["SECRETS"]).exists()


def test_all_wrong_variables_are_told_at_once(tmp_path: Path) -> None:
    """Each with what was expected."""
    tmp_path.chmod(0o755)
    wrong = {"PORT": "http", "WORKERS": "0", "SOURCE": "mnits", "MNIST_DIR": "/nowhere", "SETTINGS": str(tmp_path)}
    with pytest.raises(ConfigError) as caught:
        variables.chosen(wrong, "2")
    told = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == len(wrong)
    assert all(f"{name} is" in told for name in wrong)


def test_one_port_for_two_is_refused() -> None:
    """Before the engine refuses it in its own words."""
    with pytest.raises(ConfigError, match="PORT and MLFLOW_PORT are both 8080"):
        variables.chosen({"MLFLOW_PORT": "8080"}, "2")


def test_paths_hold_wherever_compose_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of images is mounted under its own name, after which the model is called."""
    (tmp_path / "animals").mkdir()
    (tmp_path / "mnist").mkdir()
    monkeypatch.chdir(tmp_path)
    found = variables.chosen({"SOURCE": "animals", "MNIST_DIR": "mnist"}, "2")
    assert found["IMAGES"] == str(tmp_path / "animals")
    assert found["PIPELINE_INGEST_SOURCE"] == "/data/images/animals"
    assert found["IMAGES_NAME"] == "animals"
    assert found["MNIST_DIR"] == str(tmp_path / "mnist")


@pytest.mark.skipif(sys.platform != "linux", reason="only there have the containers' users to be let in")
def test_a_folder_that_the_containers_cannot_enter_is_told(tmp_path: Path) -> None:
    """Their user is another one than whoever starts them; the command that lets it in is told for each folder."""
    names = ("SETTINGS", "MNIST_DIR", "SOURCE")
    for name in names:
        (tmp_path / name).mkdir(0o700)
    (tmp_path / "SETTINGS" / "settings.toml").touch()
    with pytest.raises(ConfigError) as caught:
        variables.chosen({name: str(tmp_path / name) for name in names}, "2")
    assert [problem.rpartition(": ")[2] for problem in caught.value.problems] == [
        f"chmod -R o+rX {tmp_path / name}" for name in names
    ]


def test_a_named_source_is_passed_on() -> None:
    """And none, where the settings file has the word."""
    assert variables.chosen({"SOURCE": "digits"}, "2")["PIPELINE_INGEST_SOURCE"] == "digits"
    assert "PIPELINE_INGEST_SOURCE" not in variables.chosen({"SOURCE": ""}, "2")


def test_secrets_are_made_once_and_differ_everywhere(tmp_path: Path) -> None:
    """No two starts of the project in the world share one; a second start finds those of the first."""
    here, there = tmp_path / "here", tmp_path / "there"
    credentials.ensure(here, "")
    credentials.ensure(there, "")
    texts = {file.name: file.read_text() for file in here.iterdir()}
    assert texts.keys() == credentials.FRESH.keys()
    assert all(text != (there / name).read_text() for name, text in texts.items())
    credentials.ensure(here, "some_volume")
    assert texts == {file.name: file.read_text() for file in here.iterdir()}
    assert len(credentials.password(here)) >= 12


def test_no_other_user_gets_at_the_secrets(tmp_path: Path) -> None:
    """The folder is its owner's; the files are readable, for the users inside the containers have other numbers."""
    before = os.umask(0o077)
    try:
        credentials.ensure(tmp_path / "secrets", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "secrets").iterdir()} == {0o644}


def test_new_secrets_are_not_made_for_an_old_database(tmp_path: Path) -> None:
    """It would not let anybody in; the sentence says both ways out."""
    with pytest.raises(ConfigError, match=r"the volume retraining_postgres was made with it; .* make down VOLUMES=1"):
        credentials.ensure(tmp_path / "secrets", "retraining_postgres")
    assert not (tmp_path / "secrets").exists()


def test_what_failed_to_start_has_the_last_word(docker: Program) -> None:
    """The service that is unhealthy is named, with what it last said."""
    containers = '{"Service":"redis","Name":"r","State":"running","Health":"unhealthy","ExitCode":0}'
    environment = docker(f"case \"$4\" in ps) echo '{containers}';; logs) echo out of memory;; up) exit 1;; esac")
    with pytest.raises(Unavailable, match="redis did not start; its last words:\nout of memory"):
        lifecycle.start(Engine(environment))


def test_a_build_that_fails_says_why(docker: Program) -> None:
    """The last line that the build said."""
    environment = docker('echo "step 3"; echo "no space left on device" >&2; exit 1')
    with pytest.raises(Failure, match=r"cannot be built: no space left on device; .* call make up again"):
        lifecycle.build(Engine(environment))


def test_down_says_what_is_kept(docker: Program, capsys: pytest.CaptureFixture[str]) -> None:
    """The secrets stay with the volumes, and go with them."""
    environment = docker("echo v2")
    secrets = Path(environment["SECRETS"])
    credentials.ensure(secrets, "")
    lifecycle.down(environment, volumes=False)
    assert "make up goes on with them" in capsys.readouterr().err
    assert secrets.is_dir()
    lifecycle.down(environment, volumes=True)
    assert "forgotten" in capsys.readouterr().err
    assert not secrets.exists()


def test_the_commit_in_the_image_is_what_runs_tell(tmp_path: Path) -> None:
    """Outside a repository, as in a container, the code's commit is the one that the image was built from."""
    code = "from pipeline.run_record import git_commit; print(git_commit())"
    environment = {**CLEAN, "PIPELINE_COMMIT": "0123abc", "PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "0123abc\n"
