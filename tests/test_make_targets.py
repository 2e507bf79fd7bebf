"""Every make target for real, in its cheapest form: in a clone of the project whose .venv leads to the packages here.

What each target calls in full is in test_make.py. Two are run elsewhere: `make clean` and `make setup`, there too.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.graph import STAGES
from tests.conftest import CLEAN, QUICK, ROOT
from tests.support import checkout
from tests.support.airflow_server import free_port
from tests.support.ended_with_us import start
from tests.support.serving_process import ServingProcess

MAKE = shutil.which("make") or ""
pytestmark = pytest.mark.skipif(not MAKE, reason="make is not installed")

VERSION = ".".join(map(str, sys.version_info[:2]))
LOCKS = {"lock": 7, "lock-images": 4}
TESTS = "ARGS=-n 0 -q -p no:cacheprovider tests/components/test_advice.py"

# target -> arguments, exit status, a pattern of what it prints
CHEAPLY: dict[str, tuple[list[str], int, str]] = {
    "help": ([], 0, r"make pipeline +run the pipeline"),
    "quick": ([TESTS], 0, r"^\.+ +\[100%\]"),
    "test": ([TESTS], 0, r"^\d\d passed"),
    "test-python": ([f"PYTHON_VERSION={VERSION}", TESTS], 0, r"^\d\d passed"),
    "test-airflow": (["ARGS=--collect-only -q tests/pipeline/airflow/test_ui.py"], 0, r"^\d tests collected"),
    "test-docker": (["ARGS=--collect-only -q"], 0, r"^\d+/\d+ tests collected"),
    "coverage": ([TESTS], 2, r"FAIL Required test coverage of \d\d.0% not reached"),
    "sign": ([], 2, "sign needs --key FILE, a private key; to make one: openssl"),
    "format": ([], 0, r"^\d+ files left unchanged"),
    "mutate": (["ARGS=--help"], 0, r"--jobs JOBS +modules at a time"),
    "attack": (["MINUTES=0", "SEED=3", "ARGS=--kind fuzzed"], 0, r"^seed 3[^|]*\| kind \| tried \| failed \|"),
    "bench": (["ARGS=--help"], 0, r"--rounds ROUNDS"),
    "bench-training": (["ARGS=--table"], 0, r"\| 99\.55 % \(99\.52 to 99\.57, 5 seeds\) \|"),
    "bench-serving": (["ARGS=--help"], 0, r"--rounds ROUNDS"),
    "airflow": (["PORT=80800"], 2, "PORT is 80800; expected a port"),
    "airflow-shell": (["ARGS=dags list"], 2, "there is no Airflow in .*/airflow yet; make airflow starts one"),
    "airflow-service": (["PORT=8181"], 0, "retraining-airflow-8181"),
    "up": ([], 2, "there is no docker on this machine"),
    "down": ([], 2, "there is no docker on this machine"),
    "mlflow": (["MLFLOW_PORT=80800"], 2, "MLFLOW_PORT is 80800; expected a port"),
}
# target -> the variable of its port, status of its answer; a review is for who knows its whole address
SERVERS = {"serve": ("SERVE_PORT", 200), "review": ("REVIEW_PORT", 404), "tensorboard": ("TENSORBOARD_PORT", 200)}


def link_packages(environment: Path) -> None:
    """Make *environment* one with the packages of this process, newer than the lock: `make setup` leaves it alone."""
    environment.mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (environment / name).symlink_to(Path(sys.prefix, name))
    (environment / ".ready").touch()


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = checkout.clone(tmp_path_factory.mktemp("targets") / "code")
    for name in (".venv", f".venv-{VERSION}"):
        link_packages(folder / name)
    return folder


def environment(home: Path, **more: str) -> dict[str, str]:
    """Of a user with the workspace *home*: without the variables of the make and the pytest that run the tests."""
    ours = ("PYTEST_", "CI_", "COV_", "COVERAGE_", "MAKE", "MFLAGS", "ARGS", "XDG_CONFIG_HOME")
    theirs = {name: value for name, value in CLEAN.items() if not name.startswith(ours)}
    return theirs | {"PIPELINE_HOME": str(home)} | more


def make(code: Path, variables: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [MAKE, *arguments], cwd=code, env=variables,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("target", CHEAPLY)
def test_a_target_does_what_it_says(code: Path, tmp_path: Path, target: str) -> None:
    """It finds its program, which takes its arguments; what would take hours is asked for its help or for no minute."""
    arguments, status, expected = CHEAPLY[target]
    variables = environment(tmp_path / "workspace", HOME=str(tmp_path))
    if target in ("up", "down"):
        variables["PATH"] = str(tmp_path)  # without docker
    done = make(code, variables, target, *arguments)
    assert done.returncode == status, done.stdout
    assert re.search(expected, done.stdout, re.MULTILINE), done.stdout
    assert checkout.git(code, "status", "--porcelain") == ""


def test_the_pipeline_runs_by_its_target(code: Path, home: Path) -> None:
    """All eight stages, as the README has it; they find what a run of another checkout made of the same code."""
    settings = " ".join(f"--set {setting}" for setting in QUICK)
    done = make(code, environment(home), "pipeline", "SOURCE=digits", f"ARGS=--json {settings}")
    assert done.returncode == 0, done.stdout
    answer = json.loads(done.stdout[done.stdout.index("\n{") :])
    assert [(stage["stage"], stage["made"]) for stage in answer["stages"]] == [(stage, False) for stage in STAGES]


@pytest.mark.parametrize("target", SERVERS)
def test_a_server_answers_at_its_address(code: Path, home: Path, target: str) -> None:
    """On the port that was asked for, over a workspace with a champion; it ends with its make."""
    (variable, status), port, log = SERVERS[target], free_port(), home / f"{target}.log"
    with log.open("wb") as output:
        line = [MAKE, target, f"{variable}={port}"]
        process = start(line, cwd=code, env=environment(home), stdout=output, stderr=output)
    server = ServingProcess(process, port, log)
    try:
        server.wait_for(lambda: server.get("/").status == status, "answer")
    finally:
        process.terminate()
        process.wait(60)
    with pytest.raises(ConnectionRefusedError):
        server.get("/")


@pytest.mark.parametrize("target", LOCKS)
def test_the_locks_are_resolved(code: Path, tmp_path: Path, target: str) -> None:
    """By uv itself, without a network: of a project that needs nothing."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    link_packages(tmp_path / ".venv")
    os.utime(tmp_path / ".venv/.ready", (2**31, 2**31))  # newer than the lock that is about to be written
    for name in ("tests/serving/clients/requirements.in", "tests/mutation/requirements.in"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "docker").mkdir()
    for name in ("docker/mlflow.in", "docker/serving.in", "requirements.lock"):
        (tmp_path / name).touch()
    extras = "dev = []\ncluster = []\nsign = []\ngpu = []\n"
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\nname = "x"\nversion = "1"\n[project.optional-dependencies]\n{extras}'
    )
    done = make(tmp_path, environment(tmp_path, UV_OFFLINE="1"), target)
    assert done.returncode == 0, done.stdout
    written = [file for file in tmp_path.rglob("*.lock") if ".venv" not in file.parts and file.stat().st_size]
    assert len(written) == LOCKS[target]
    assert all("via the following command:\n#    make lock\n" in file.read_text() for file in written)


def test_every_target_is_run() -> None:
    """Here, or in test_make.py; `make check` is what CI runs, and this test with it."""
    elsewhere = {"setup", "clean", "check", "pipeline"}
    targets = set(re.findall(r"^([a-z-]+):.*? ## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {*CHEAPLY, *SERVERS, *LOCKS} | elsewhere == targets
    assert (ROOT / ".ci/run").read_text().endswith("exec make check\n")
