"""The pipeline as an installed package in a plain Airflow: a folder of DAG files, and no checkout."""

import json
import re
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import pytest

from components.registry import promotion_log
from tests.conftest import CLEAN, QUICK, ROOT

SOURCES = ("components", "pipeline")
QUICKER = ("evaluate.corruption_images=0", "export.formats=tflite")
DAG_FILE = re.compile(r'^    """The DAGs.*?\n\n    (?=\w).*?\n', re.MULTILINE | re.DOTALL)  # as the docs show it
READ = """
import json, sys, time
start = time.process_time()
from airflow.dag_processing.dagbag import DagBag
from airflow import plugins_manager
import pipeline
seconds = [time.process_time() - start]
bags = []
for _ in range(2):
    start = time.process_time()
    bags.append(DagBag(load_op_links=False))
    seconds.append(time.process_time() - start)
bag = bags[-1]
apps, middlewares = plugins_manager.get_fastapi_plugins()
print(json.dumps({
    "where": pipeline.__file__, "dags": sorted(bag.dags), "errors": bag.import_errors, "seconds": seconds,
    "files": {stats.file: stats.duration.total_seconds() for stats in bag.dagbag_stats},
    "late": [name for name, dag in bag.dags.items() if dag.deadline],
    "apps": [app["name"] for app in apps], "middlewares": [m["name"] for m in middlewares],
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the checkout, by what is installed: no network."""
    copy, built = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for name in (*SOURCES, "tests", "dags"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy)
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", build, str(built)], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    [wheel] = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages, as `pip install --no-deps --target` makes it."""
    folder = tmp_path_factory.mktemp("environment") / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def team(tmp_path: Path, installed: Path) -> dict[str, str]:
    """The environment of a team's Airflow, whose folder of DAGs has two models and a wrong file."""
    dags = tmp_path / "dags"
    dags.mkdir()
    [shown] = DAG_FILE.findall((ROOT / "docs" / "your-airflow.md").read_text())
    dag_file = textwrap.dedent(shown)
    quick = "".join(f"{setting}\n" for setting in sections((*QUICK, *QUICKER)))
    texts = {"receipts": quick + '[register]\nname = "receipts"\n', "invoices": quick, "wrong": "[train]\nepoch = 3\n"}
    for name, text in texts.items():
        (dags / f"{name}.toml").write_text(text)
        (dags / f"{name}.py").write_text(dag_file.replace("receipts", name))
    return {
        **CLEAN,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "PIPELINE_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(installed),
    }


def sections(settings: tuple[str, ...]) -> list[str]:
    """The lines of a settings file with *settings*, on the digits."""
    lines: dict[str, list[str]] = {"ingest": ['source = "digits"']}
    for setting in settings:
        name, _, value = setting.partition("=")
        section, _, short = name.partition(".")
        quoted = value if value.replace(".", "").isdigit() else json.dumps(value)
        lines.setdefault(section, []).append(f"{short} = {quoted}")
    return [line for section, own in lines.items() for line in (f"[{section}]", *own)]


def answer(code: str, environment: dict[str, str], cwd: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return parsed


def test_the_wheel_has_what_runs_and_nothing_else(wheel: Path) -> None:
    """All modules, templates and profiles; no tests, no DAG files, no containers."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    there = {
        str(file.relative_to(ROOT))
        for source in SOURCES
        for file in (ROOT / source).rglob("*.*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert names == there


def test_a_plain_airflow_reads_the_dags_of_two_models(team: dict[str, str], installed: Path, tmp_path: Path) -> None:
    """One wrong file is one import error with its sentence; the plugin comes by entry point, and leaves the login."""
    read = answer(READ, team, tmp_path)
    assert Path(read["where"]).is_relative_to(installed)
    for model in ("receipts", "invoices"):
        assert {f"{model}_retrain", f"{model}_watch_data"} <= set(read["dags"])
    [(file, trace)] = read["errors"].items()
    assert Path(file).name == "wrong.py"
    assert trace.strip().splitlines()[-1].endswith("no setting is called 'train.epoch'; did you mean 'train.epochs'?")
    assert sorted(read["late"]) == ["invoices_retrain", "receipts_retrain"]
    assert read["apps"] == ["pipeline reports"]
    assert read["middlewares"] == []
    assert read["seconds"][2] < 0.5 * 3  # three files, read again


def test_an_installed_package_has_its_command(team: dict[str, str], installed: Path, tmp_path: Path) -> None:
    """retraining-pipeline does what python -m pipeline does; profiles and settings come from the package."""
    command = "import sys; from importlib.metadata import entry_points; "
    command += "[e] = entry_points(group='console_scripts', name='retraining-pipeline'); sys.exit(e.load()())"
    done = subprocess.run(
        [sys.executable, "-c", command, "settings", "--config", "fast", "--json"],
        cwd=tmp_path, env=team, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


@pytest.mark.airflow
def test_a_model_is_trained_in_a_plain_airflow(team: dict[str, str], tmp_path: Path) -> None:
    """A run of all stages, by `airflow dags test`, with the settings of its file, in the team's workspace."""
    for arguments in (["db", "migrate"], ["dags", "test", "receipts_retrain"]):
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            cwd=tmp_path, env=team, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    assert len(promotion_log.read(tmp_path / "home" / "promotions.jsonl", "receipts")) == 1
    assert not (tmp_path / "workspace").exists()
