"""What stands in docker/, judged without an engine and without a network."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.airflow.standalone.environment import Local
from pipeline.compose.credentials import FRESH, USER
from tests.conftest import ROOT

DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*Dockerfile"))
LOCKS = sorted(DOCKER.glob("*.lock"))
PAGE = (ROOT / "docs/containers.md").read_text()
PINNED = re.compile(r"^([\w.-]+)==(\S+?)(?: ; .*)? \\$", re.MULTILINE)


@cache
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    return found


SERVICES = sorted(compose()["services"])


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"][name]
    return found


def tool(name: str) -> str:
    """The program *name* of the environment that runs the tests."""
    return str(Path(sys.executable).parent / name)


def stages(dockerfile: Path) -> list[str]:
    """The text of each stage of a Dockerfile, without comments."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE)
    return ["FROM " + stage for stage in re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]]


def test_hadolint_finds_nothing() -> None:
    """Not even what it calls information."""
    done = subprocess.run([tool("hadolint"), *map(str, DOCKERFILES)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_compose_keeps_to_its_specification() -> None:
    """Every key is one that the compose specification knows, with a value of its kind."""
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(DOCKER / "compose.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_compose_itself_can_read_it(tmp_path: Path) -> None:
    """Its own loader resolves every variable by its default, and finds every network, volume and secret."""
    docker = shutil.which("docker")
    if not docker:
        pytest.skip("docker is not installed")
    if subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker's compose plugin is not installed")
    done = subprocess.run(
        [docker, "compose", "--file", DOCKER / "compose.yaml", "config", "--quiet"],
        capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"], **docker_config()},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def docker_config() -> dict[str, str]:
    return {name: os.environ[name] for name in ("HOME", "DOCKER_CONFIG") if name in os.environ}


def test_every_variable_is_documented() -> None:
    """The table in docs/containers.md is what compose.yaml asks of whoever starts it, and nothing else."""
    text = re.sub(r"(^|\s)#.*", "", (DOCKER / "compose.yaml").read_text())
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    passed = {name for every in map(service, SERVICES) for name, value in environment(every).items() if value is None}
    rows = re.findall(r"^\| (`[A-Z].*?) \|", PAGE, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert told == asked | passed


def built(name: str) -> bool:
    """Whether the image of the service is one that is built here, for this service or another one."""
    return any(service(other)["image"] == service(name)["image"] and "build" in service(other) for other in SERVICES)


def environment(found: dict[str, Any]) -> dict[str, Any]:
    variables: dict[str, Any] = found.get("environment", {})
    return variables


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_can_be_watched_limited_and_revived(name: str) -> None:
    """A health check, bounds on memory, processors and processes, a restart policy, logs that do not fill the disk."""
    found = service(name)
    limits = found["deploy"]["resources"]["limits"]
    assert {"memory", "cpus", "pids"} <= limits.keys()
    assert found["restart"].startswith(("unless-stopped", "on-failure"))
    assert {"max-size", "max-file"} <= found["logging"]["options"].keys()
    once = found["restart"].startswith("on-failure")  # it does one thing and ends: its exit status is waited for
    assert found["healthcheck"].get("disable", False) == once
    assert once or found["healthcheck"]["test"][0].startswith("CMD")


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_has_more_rights_than_it_needs(name: str) -> None:
    """No capability, no way to gain one, no root that can be written to (but PostgreSQL's), no user that is root."""
    found = service(name)
    assert found["cap_drop"] == ["ALL"]
    assert "cap_add" not in found
    assert "privileged" not in found
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["read_only"] is (name != "postgres")
    assert built(name) or found["user"] not in ("root", "0")  # what is built says so itself: see below


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_reached_from_other_machines(name: str) -> None:
    """Ports are published on loopback alone; the databases' network has no way in or out."""
    assert all(port.startswith("127.0.0.1:") for port in service(name).get("ports", []))
    assert "network_mode" not in service(name)
    if name in ("postgres", "redis"):
        assert service(name)["networks"] == ["inside"]
        assert compose()["networks"]["inside"]["internal"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_needs_is_ready_before_it(name: str) -> None:
    """Each dependency names a condition that its service can meet."""
    for other, need in service(name).get("depends_on", {}).items():
        once = service(other)["restart"].startswith("on-failure")
        assert need["condition"] == "service_completed_successfully" or not once


def test_all_that_is_kept_is_in_named_volumes() -> None:
    """Nothing of the host is written to: what is bound from it is read-only."""
    for name in SERVICES:
        for mount in service(name).get("volumes", []):
            if mount["type"] == "bind":
                assert mount["read_only"] is True
            else:
                assert mount["source"] in compose()["volumes"]


def test_every_image_has_a_version_of_its_own() -> None:
    """No "latest", by name or by silence; the tags of what is built here are the versions of what is inside."""
    images = {service(name)["image"] for name in SERVICES}
    bases = {base for file in DOCKERFILES for base in re.findall(r"^FROM (\S+)", file.read_text(), re.MULTILINE)}
    for image in images | bases:
        assert re.search(r":\d[\w.-]*$", image), image
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    mlflow = dict(PINNED.findall((DOCKER / "mlflow.lock").read_text()))["mlflow"]
    assert {f"retraining-pipeline:{project}", f"retraining-pipeline-mlflow:{mlflow}"} <= images


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_the_last_stage_only_takes_what_was_made(file: Path) -> None:
    """Nothing is installed in it, it runs as nobody special, it says what it is and whether it is well."""
    build, final = stages(file)
    version = re.search(r'image\.version="(\S+)"', final)
    assert "--require-hashes" in build
    assert "compileall" in build
    assert not re.search(r"\b(apt-get|pip|gcc|make)\b", final)
    assert re.findall(r"^USER (\S+)", final, re.MULTILINE) == ["10001:10001"]
    assert re.search(r"^HEALTHCHECK .*CMD", final.replace("\\\n", ""), re.MULTILINE)
    assert version
    assert any(service(name)["image"].endswith(f":{version[1]}") for name in SERVICES)


def test_only_what_is_needed_goes_into_an_image() -> None:
    """The engine is sent what .dockerignore lets through: no secret, no settings, nothing of the workspace."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    taken = {line[1:] for line in lines if line.startswith("!")}
    copied = {part for f in DOCKERFILES for part in re.findall(r"^COPY (?!--from)(\S+)", f.read_text(), re.MULTILINE)}
    assert all(any(Path(part).match(pattern) for pattern in taken) for part in copied)
    assert not any(Path(part).match(p) for p in taken for part in ("docker/secrets", "docker/settings", "workspace"))


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.name)
def test_the_images_hold_the_versions_of_the_lock(file: Path) -> None:
    """Every package of an image's lock is in requirements.lock, in the same version and with the same hashes."""
    assert entries(file).items() <= entries(ROOT / "requirements.lock").items()
    assert not re.search(r"https?://|--index|--find-links", file.read_text())


def entries(lock: Path) -> dict[tuple[str, str], frozenset[str]]:
    """The hashes of each package and version."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for entry in re.split(r"\n(?=\S)", lock.read_text()):
        if pinned := PINNED.match(entry):
            hashes = frozenset(re.findall(r"sha256:\w{64}", entry))
            assert hashes, entry
            found[pinned.group(1), pinned.group(2)] = hashes
    return found


def test_the_images_lack_what_only_developers_need() -> None:
    """No linter, no test framework."""
    names = {name for name, _ in entries(DOCKER / "requirements.lock")}
    assert names & {"ruff", "pytest", "moto", "mypy", "coverage"} == set()
    assert {"apache-airflow", "apache-airflow-providers-celery", "mlflow", "keras", "psycopg2-binary", "redis"} <= names


def test_the_servers_image_leaves_out_what_it_never_imports() -> None:
    """MLflow's server is a third of MLflow: as what is left out stands in the Makefile, none of it is in the lock."""
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    left_out = re.search(r"^NOT_SERVED := (.*)$", makefile, re.MULTILINE)
    assert left_out
    names = {name for name, _ in entries(DOCKER / "mlflow.lock")}
    assert names & set(left_out[1].split()) == set()
    assert {"mlflow", "psycopg2-binary"} <= names


def test_no_password_stands_in_a_file() -> None:
    """Secrets come from files that are made at the first start, and no variable of a container holds one."""
    tracked = subprocess.run(["git", "ls-files", DOCKER], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in tracked.stdout.split():
        text = (ROOT / name).read_text()
        assert not re.search(r"://\w*:(?!PASSWORD)[\w-]+@", text), name
    for name in SERVICES:
        for variable, value in environment(service(name)).items():
            if re.search(r"PASSWORD|SECRET|_KEY|TOKEN|_CONN|BROKER_URL", variable):
                assert value in (None, "") or value.startswith(("cat /run/secrets/", "/tmp/")), variable  # noqa: S108


def test_every_secret_is_made_and_every_one_that_is_made_is_used() -> None:
    """The files that `make up` makes are those that compose mounts."""
    mounted = {secret for name in SERVICES for secret in service(name).get("secrets", [])}
    assert mounted == compose()["secrets"].keys() == FRESH.keys()
    assert all(found["file"] == f"${{SECRETS:-./secrets}}/{name}" for name, found in compose()["secrets"].items())


def test_airflow_is_set_as_make_airflow_sets_it(tmp_path: Path) -> None:
    """What a local start chooses holds in containers too, but for what several machines need otherwise."""
    local = Local(tmp_path)
    here, there = local.environment(), environment(service("worker"))
    otherwise = {
        "CORE__EXECUTOR", "CORE__EXECUTION_API_SERVER_URL", "API__BASE_URL", "CORE__DAGS_FOLDER",
        "CORE__PLUGINS_FOLDER", "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
    }  # fmt: skip
    chosen = [n for n in {**local._defaults(), **local._fixed()} if n.startswith("AIRFLOW__") and "HOST" not in n]
    same = {n for n in chosen if n.removeprefix("AIRFLOW__") not in otherwise}
    for name in same - {"AIRFLOW__API__PORT"}:  # the port is the API server's own argument
        assert f"{name}_CMD" in there or there[name] == here[name], name
    user = there["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"].split(":")[0]
    assert json.loads((tmp_path / "passwords.json").read_text()).keys() == {user} == {USER}


def test_what_the_containers_name_in_the_image_is_there() -> None:
    """Folders of /app are those of the checkout."""
    for path in re.findall(r"/app/([\w./]+)", (DOCKER / "compose.yaml").read_text()):
        assert (ROOT / path).exists(), path


def test_the_databases_are_made_in_a_shell_of_their_own() -> None:
    """A script that cannot be executed is read into PostgreSQL's own start instead, `set -eu` and all."""
    assert os.access(DOCKER / "postgres-databases.sh", os.X_OK)
