"""Runs in the containers: built, started by `make up`, triggered over REST, with parts that are lost on the way."""

import base64
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.registry.client import CHAMPION, Registry
from pipeline.compose.environment import PORTS
from pipeline.graph import STAGES
from tests.conftest import CLEAN, command
from tests.support.airflow_server import digits
from tests.support.compose_stack import Stack, make
from tests.support.noise_pictures import png
from tests.support.serving_process import ask

pytestmark = pytest.mark.docker

NAME = "digits-classifier"
AWAY = 60  # seconds that MLflow is gone
WRITABLE = """
import json, os
temporary = ("/dev", "/proc", "/sys", "/tmp")  # devices, and memory that goes with the container
walked = os.walk("/", topdown=True)
folders = (f for f, below, _ in walked if f not in temporary or below.clear())
print(json.dumps(sorted(folder for folder in folders if os.access(folder, os.W_OK))))
"""


def longer(seed: int) -> dict[str, Any]:
    """A run whose training takes long enough to lose a part during it; each seed gives another model."""
    return digits(train__model="cnn_bn", train__epochs=10, train__seed=seed)


def on_host(home: Path, form: dict[str, Any], *arguments: str) -> dict[str, str]:
    """The digest of each artifact, by stage and key, of the same settings on the host."""
    settings = [part for name, value in form.items() for part in ("--set", f"{name}={value}")]
    done = command(home, "run", "--json", *settings, *arguments)
    assert done.returncode == 0, done.stderr
    return {f"{stage['stage']} {stage['key']}": stage["digest"] for stage in json.loads(done.stdout)["stages"]}


def in_stack(stack: Stack, run: str, *stages: str) -> dict[str, str]:
    results = [stack.result(run, stage) for stage in stages or STAGES]
    return {f"{done['stage']} {done['key']}": done["digest"] for done in results}


def versions_of(stack: Stack, run: str) -> list[str]:
    """The registered versions of the model that the run trained."""
    digest = stack.result(run, "train")["digest"]
    return [v.version for v in Registry(stack.mlflow).versions(NAME) if v.tags["train.digest"] == digest]


@pytest.fixture(scope="session")
def first(stack: Stack) -> str:
    """A run from nothing to a champion, with nothing lost."""
    run = stack.trigger(digits())
    stack.succeeded(run)
    return run


def test_make_up_shows_progress_and_addresses(stack: Stack) -> None:
    """And the login."""
    assert re.search(r"^  +\d+ s  ", stack.output, re.MULTILINE)
    assert f"Airflow is ready: {stack.api.url}   user admin   password {stack.password}" in stack.output
    assert f"MLflow is ready:  {stack.mlflow}" in stack.output


def test_make_up_again_replaces_no_container(stack: Stack) -> None:
    """While images, settings and ports are the same."""
    before = {container["ID"] for container in stack.engine.containers()}
    make("up", stack.engine.environment)
    assert {container["ID"] for container in stack.engine.containers()} == before


def test_the_champion_can_be_loaded_on_the_host(stack: Stack, first: str) -> None:
    """By MLflow's client, through the server: the host has no volume."""
    assert stack.made(first) == list(STAGES)
    champion = Registry(stack.mlflow).alias(NAME, CHAMPION)
    assert champion
    assert champion.version == stack.result(first, "promote")["model"]["version"]
    code = (
        "import mlflow, numpy; model = mlflow.pyfunc.load_model('models:/digits-classifier@champion');"
        "print(model.predict(numpy.zeros((1, 28, 28, 1), 'uint8')).shape)"
    )
    environment = {**CLEAN, "MLFLOW_TRACKING_URI": stack.mlflow}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "10" in done.stdout, done.stderr


def test_the_champion_answers_from_its_container(stack: Stack, first: str) -> None:
    """It takes a report of a wrong answer, and the container can write nothing but its log and such reports."""
    port = int(stack.engine.environment["SERVE_PORT"])
    headers = {"content_type": "application/json", "origin": f"http://127.0.0.1:{port}"}
    picture = base64.b64encode(png(1)).decode()
    version, question = stack.result(first, "promote")["model"]["version"], {"image": {"b64": picture}}
    stack.until(lambda: ask(port, "POST", "/predict", json.dumps(question), **headers).version == version)
    report = {"picture": picture, "label": "7"}
    assert ask(port, "POST", "/wrong", json.dumps(report), **headers).status == 200
    [container] = stack.running("serving")
    assert json.loads(stack.docker("exec", container, "cat", "/reports/wrong.jsonl"))["label"] == "7"
    assert json.loads(stack.docker("exec", container, "python", "-c", WRITABLE)) == ["/reports", "/requests"]


def test_both_workers_are_used(stack: Stack, first: str) -> None:
    """The tasks of one run are spread over them."""
    assert {stack.worker_of(first, stage) for stage in STAGES} == set(stack.running("worker"))


def test_the_host_makes_the_same_artifacts(stack: Stack, first: str, tmp_path: Path) -> None:
    """Every key and every digest: the containers have the host's versions, and the same processor computes."""
    assert in_stack(stack, first) == on_host(tmp_path, digits())


def test_the_report_is_served(stack: Stack, first: str) -> None:
    """The API server reads the shared volume."""
    assert b"<html" in stack.api.read(stack.links(first, "promote")["Report"])


def test_nothing_is_open_but_on_loopback(stack: Stack) -> None:
    """Three ports are published, all on 127.0.0.1."""
    published = {(p["URL"], p["PublishedPort"]) for c in stack.engine.containers() for p in c["Publishers"] or []}
    ports = {int(stack.engine.environment[name]) for name in PORTS}
    assert {(url, port) for url, port in published if port} == {("127.0.0.1", port) for port in ports}


def test_no_container_has_a_secret_in_its_environment_or_runs_as_root(stack: Stack) -> None:
    """As `docker inspect` shows it to all users of the engine."""
    secrets = [file.read_text() for file in Path(stack.engine.environment["SECRETS"]).iterdir()]
    for container in stack.engine.containers():
        description = stack.docker("inspect", container["Name"])
        assert not any(secret in description for secret in secrets)
        assert json.loads(description)[0]["Config"]["User"] not in ("", "root", "0")


def test_the_image_has_no_compiler_no_cache_and_no_way_to_write(stack: Stack) -> None:
    """Neither pip's cache nor apt's lists; code and packages belong to root."""
    compilers = "for program in gcc cc ld strip make; do command -v $program; done"
    caches = "find ~root/.cache /var/cache/pip /var/lib/apt/lists -type f 2>/dev/null; ls ~root >/dev/null"
    worker = stack.running("worker")[0]

    def output(user: str, script: str) -> tuple[str, str]:
        command = ["docker", "exec", "--user", user, worker, "sh", "-c", script]
        done = subprocess.run(command, env=stack.engine.environment, capture_output=True, text=True, check=False)
        return done.stdout, done.stderr

    assert output("root", f"{compilers}; {caches}") == ("", "")  # others may not look into root's folder
    assert output("pipeline", "touch /app/x /opt/venv/x")[1].count("Read-only file system") == 2


def test_the_training_of_a_killed_worker_resumes_on_the_other_one(stack: Stack, tmp_path: Path) -> None:
    """After two minutes without a heartbeat another try resumes after the last epoch and gives the same bytes."""
    run = stack.trigger(longer(1))
    lost = stack.training(run)
    stack.docker("kill", lost)
    undisturbed = on_host(tmp_path, longer(1), "--until", "train")
    stack.succeeded(run)
    assert stack.worker_of(run, "train") != lost
    assert stack.tasks(run)["train"]["try_number"] == 2
    assert stack.result(run, "train")["metrics"]["resumed_after_epoch"] >= 1
    assert in_stack(stack, run, "ingest", "validate", "normalize", "train") == undisturbed
    assert len(versions_of(stack, run)) == 1
    stack.docker("start", lost)
    stack.until(lambda: stack.healthy("worker"))


def restarted(stack: Stack, service: str) -> None:
    stack.docker("restart", *stack.running(service))


def away(stack: Stack, service: str) -> None:
    """Gone for a minute."""
    names = stack.running(service)
    stack.docker("stop", *names)
    time.sleep(AWAY)
    stack.docker("start", *names)


@pytest.mark.parametrize(
    ("seed", "service", "lose"),
    [(2, "redis", restarted), (3, "postgres", restarted), (4, "scheduler", restarted), (5, "mlflow", away)],
    ids=["redis", "postgres", "scheduler", "mlflow"],
)
def test_a_run_succeeds_though_a_part_is_lost(
    stack: Stack, seed: int, service: str, lose: Callable[[Stack, str], None]
) -> None:
    """In the middle of its training: it registers one version of the model, and every part is healthy again."""
    run = stack.trigger(longer(seed))
    stack.training(run)
    lose(stack, service)
    stack.succeeded(run)
    assert len(versions_of(stack, run)) == 1
    stack.until(lambda: stack.healthy(service) and stack.healthy("worker"))


def test_the_volumes_outlive_make_down(stack: Stack, first: str) -> None:
    """After `make down` and `make up` the champion is still there, and the run is in Airflow's history."""
    before = Registry(stack.mlflow).alias(NAME, CHAMPION)
    assert "make up continues with them" in make("down", stack.engine.environment)
    assert stack.engine.containers() == []
    make("up", stack.engine.environment)
    assert Registry(stack.mlflow).alias(NAME, CHAMPION) == before
    assert {task["state"] for task in stack.tasks(first).values()} == {"success"}
    with urllib.request.urlopen(f"{stack.mlflow}/health", timeout=5) as answer:  # noqa: S310
        assert answer.status == 200
