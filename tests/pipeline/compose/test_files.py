"""The files of docker/, checked without an engine and without a network."""

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
from pipeline.compose.credentials import GENERATORS, USER
from tests.conftest import ROOT

DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*Dockerfile"))
LOCKS = sorted(DOCKER.glob("*.lock"))
PAGE = (ROOT / "docs/containers.md").read_text()
PINNED = re.compile(r"^([\w.-]+)==(\S+?)(?: ; .*)? \\$", re.MULTILINE)


@cache
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    return content


SERVICES = sorted(compose()["services"])


def service(name: str) -> dict[str, Any]:
    content: dict[str, Any] = compose()["services"][name]
    return content


def tool(name: str) -> str:
    """The program *name* of the environment that runs the tests."""
    return str(Path(sys.executable).parent / name)


def stages(dockerfile: Path) -> list[str]:
    """The text of each stage of a Dockerfile, without comments."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE)
    return ["FROM " + stage for stage in re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]]


def test_hadolint_reports_nothing() -> None:
    """Not even at its level info."""
    done = subprocess.run([tool("hadolint"), *map(str, DOCKERFILES)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_compose_follows_its_specification() -> None:
    """Every key is one of the compose specification, with a value of its type."""
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(DOCKER / "compose.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_compose_itself_can_read_the_file(tmp_path: Path) -> None:
    """Its loader resolves every variable by its default, and every network, volume and secret."""
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
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    passed = {name for every in map(service, SERVICES) for name, value in environment(every).items() if value is None}
    rows = re.findall(r"^\| (`[A-Z].*?) \|", PAGE, re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert documented == used | passed


def built(name: str) -> bool:
    """Whether the image of the service is one that is built here, for this service or another one."""
    return any(service(other)["image"] == service(name)["image"] and "build" in service(other) for other in SERVICES)


def environment(service: dict[str, Any]) -> dict[str, Any]:
    variables: dict[str, Any] = service.get("environment", {})
    return variables


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_monitored_limited_and_restarted(name: str) -> None:
    """A health check, limits on memory, processors and processes, a restart policy, logs that do not fill the disk."""
    definition = service(name)
    limits = definition["deploy"]["resources"]["limits"]
    assert {"memory", "cpus", "pids"} <= limits.keys()
    assert definition["restart"].startswith(("unless-stopped", "on-failure"))
    assert {"max-size", "max-file"} <= definition["logging"]["options"].keys()
    once = definition["restart"].startswith("on-failure")  # it does one thing and ends: others wait for its exit status
    assert definition["healthcheck"].get("disable", False) == once
    assert once or definition["healthcheck"]["test"][0].startswith("CMD")


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_has_more_rights_than_it_needs(name: str) -> None:
    """No capability, no way to gain one, a read-only root file system (but PostgreSQL's), no root user."""
    definition = service(name)
    assert definition["cap_drop"] == ["ALL"]
    assert "cap_add" not in definition
    assert "privileged" not in definition
    assert definition["security_opt"] == ["no-new-privileges:true"]
    assert definition["read_only"] is (name != "postgres")
    assert built(name) or definition["user"] not in (
        "root",
        "0",
    )  # the Dockerfile names that of an image that is built here: see below


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_can_be_reached_from_other_machines(name: str) -> None:
    """Ports are published on loopback only; the databases' network is internal."""
    assert all(port.startswith("127.0.0.1:") for port in service(name).get("ports", []))
    assert "network_mode" not in service(name)
    if name in ("postgres", "redis"):
        assert service(name)["networks"] == ["inside"]
        assert compose()["networks"]["inside"]["internal"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_starts_after_what_it_needs(name: str) -> None:
    """Each dependency names a condition that its service can meet."""
    for other, need in service(name).get("depends_on", {}).items():
        once = service(other)["restart"].startswith("on-failure")
        assert need["condition"] == "service_completed_successfully" or not once


@pytest.mark.parametrize("name", ["scheduler", "worker"])
def test_tasks_wait_for_the_api_server(name: str, tmp_path: Path) -> None:
    """The scheduler and the workers wait for it themselves, because the engine, which starts containers in any order
    after a reboot, looks at no dependency; then the service becomes the process that signals reach."""
    python = tmp_path / "python"  # the health check: fails once, then succeeds
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ "$(wc -l < {tmp_path}/asked)" -gt 1 ]\n')
    python.chmod(0o755)
    entrypoint = [part.replace("$$", "$").replace("sleep 2", ":") for part in service(name)["entrypoint"]]
    path = f"{tmp_path}:{os.environ['PATH']}"
    command = ["sh", "-c", "exec sh -c 'echo $$' here"]
    with subprocess.Popen([*entrypoint, *command], env={"PATH": path}, stdout=subprocess.PIPE, text=True) as started:
        output, _ = started.communicate(timeout=60)
    assert int(output) == started.pid
    assert (tmp_path / "asked").read_text() == "-m pipeline.compose.healthcheck metadatabase\n" * 2


def test_all_data_is_in_named_volumes() -> None:
    """Nothing writes to the host: its folders are mounted read-only."""
    for name in SERVICES:
        for mount in service(name).get("volumes", []):
            if mount["type"] == "bind":
                assert mount["read_only"] is True
            else:
                assert mount["source"] in compose()["volumes"]


def test_serving_writes_its_log_and_reports_alone() -> None:
    """The workspace is that of the pipeline; the image names the two folders, and its user owns them."""
    mounts = {mount["target"]: mount for mount in service("serving")["volumes"]}
    assert [target for target in mounts if not mounts[target].get("read_only")] == ["/requests", "/reports"]
    assert mounts["/workspace"]["read_only"] is True
    image = (ROOT / "docker/serving.Dockerfile").read_text()
    assert "install --directory --owner serving --group serving /workspace /requests /reports" in image
    for variable, folder in (("LOG", "/requests"), ("REPORT", "/reports")):
        assert f"PIPELINE_SERVE_{variable}_FOLDER={folder}" in image


def test_every_image_has_a_version() -> None:
    """No "latest", named or implied; the tags of images that are built here are the versions of their contents."""
    images = {service(name)["image"] for name in SERVICES}
    bases = {base for file in DOCKERFILES for base in re.findall(r"^FROM (\S+)", file.read_text(), re.MULTILINE)}
    for image in images | bases:
        assert re.search(r":\d[\w.-]*$", image), image
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    mlflow = dict(PINNED.findall((DOCKER / "mlflow.lock").read_text()))["mlflow"]
    assert {f"retraining-pipeline:{project}", f"retraining-pipeline-mlflow:{mlflow}"} <= images


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_the_last_stage_only_copies_what_was_built(file: Path) -> None:
    """It installs nothing, runs as a non-root user, and has labels and a health check."""
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
    """The engine gets what .dockerignore admits: no secret, no settings, nothing of the workspace."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    admitted = {line[1:] for line in lines if line.startswith("!")}
    copied = {part for f in DOCKERFILES for part in re.findall(r"^COPY (?!--from)(\S+)", f.read_text(), re.MULTILINE)}
    assert all(any(Path(part).match(pattern) for pattern in admitted) for part in copied)
    assert not any(Path(part).match(p) for p in admitted for part in ("docker/secrets", "docker/settings", "workspace"))


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.name)
def test_the_images_hold_the_versions_of_the_lock(file: Path) -> None:
    """Every package of an image's lock is in requirements.lock, in the same version and with the same hashes."""
    assert entries(file).items() <= entries(ROOT / "requirements.lock").items()
    assert not re.search(r"https?://|--index|--find-links", file.read_text())


def entries(lock: Path) -> dict[tuple[str, str], frozenset[str]]:
    """The hashes of each package and version."""
    hashes_by_version: dict[tuple[str, str], frozenset[str]] = {}
    for entry in re.split(r"\n(?=\S)", lock.read_text()):
        if pinned := PINNED.match(entry):
            hashes = frozenset(re.findall(r"sha256:\w{64}", entry))
            assert hashes, entry
            hashes_by_version[pinned.group(1), pinned.group(2)] = hashes
    return hashes_by_version


def test_the_images_lack_what_only_developers_need() -> None:
    """No linter, no test framework."""
    names = {name for name, _ in entries(DOCKER / "requirements.lock")}
    assert names & {"ruff", "pytest", "moto", "mypy", "coverage"} == set()
    assert {"apache-airflow", "apache-airflow-providers-celery", "mlflow", "keras", "psycopg2-binary", "redis"} <= names


def test_the_image_of_mlflow_lacks_what_its_server_never_imports() -> None:
    """The server is a third of MLflow: none of the packages that the Makefile leaves out is in the lock."""
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    left_out = re.search(r"^NOT_SERVED := (.*)$", makefile, re.MULTILINE)
    assert left_out
    names = {name for name, _ in entries(DOCKER / "mlflow.lock")}
    assert names & set(left_out[1].split()) == set()
    assert {"mlflow", "psycopg2-binary"} <= names


def test_no_file_has_a_password() -> None:
    """Secrets come from files that are generated at the first start; no variable of a container has one."""
    tracked = subprocess.run(["git", "ls-files", DOCKER], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in tracked.stdout.split():
        text = (ROOT / name).read_text()
        assert not re.search(r"://\w*:(?!PASSWORD)[\w-]+@", text), name
    for name in SERVICES:
        for variable, value in environment(service(name)).items():
            if re.search(r"PASSWORD|SECRET|_KEY|TOKEN|_CONN|BROKER_URL", variable):
                assert value in (None, "") or value.startswith(("cat /run/secrets/", "/tmp/")), variable  # noqa: S108


def test_every_secret_is_generated_and_used() -> None:
    """The files that `make up` generates are those that compose mounts."""
    mounted = {secret for name in SERVICES for secret in service(name).get("secrets", [])}
    assert mounted == compose()["secrets"].keys() == GENERATORS.keys()
    assert all(secret["file"] == f"${{SECRETS:-./secrets}}/{name}" for name, secret in compose()["secrets"].items())


def test_airflow_has_the_settings_of_make_airflow(tmp_path: Path) -> None:
    """The settings of a local start apply in containers too, except those that several machines need to differ."""
    local = Local(tmp_path)
    here, there = local.environment(), environment(service("worker"))
    otherwise = {
        "CORE__EXECUTOR", "CORE__EXECUTION_API_SERVER_URL", "API__BASE_URL", "CORE__DAGS_FOLDER",
        "CORE__PLUGINS_FOLDER", "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
        # the containers' volumes are theirs alone
        "LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS", "LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS",
    }  # fmt: skip
    chosen = [n for n in {**local._defaults(), **local._fixed()} if n.startswith("AIRFLOW__") and "HOST" not in n]
    same = {n for n in chosen if n.removeprefix("AIRFLOW__") not in otherwise}
    for name in same - {"AIRFLOW__API__PORT"}:  # the port is the API server's own argument
        assert f"{name}_CMD" in there or there[name] == here[name], name
    user = there["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"].split(":")[0]
    assert json.loads((tmp_path / "passwords.json").read_text()).keys() == {user} == {USER}


def test_paths_in_the_image_exist() -> None:
    """Those below /app, in compose.yaml and in Kubernetes' files, are of the checkout."""
    files = [DOCKER / "compose.yaml", *(DOCKER / "kubernetes").iterdir()]
    for path in {path for file in files for path in re.findall(r"/app/([\w./]+)", file.read_text())}:
        assert (ROOT / path).exists(), path


def test_the_databases_are_created_in_a_shell_of_their_own() -> None:
    """A script that is not executable would be sourced by PostgreSQL's own start script, `set -eu` included."""
    assert os.access(DOCKER / "postgres-databases.sh", os.X_OK)
