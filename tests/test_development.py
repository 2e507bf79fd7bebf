"""docs/development.md is true: its worked examples are added to a copy of the project exactly as written, and run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CLEAN, ROOT

PAGE = (ROOT / "docs/development.md").read_text()
FILES = {"network": 2, "source": 4, "export format": 3}  # at most, for an addition

# What a tree of source holds: text, and the pictures of the docs. Anything else, such as a database, came by accident.
SUFFIXES = frozenset(("", ".Dockerfile", ".c", ".env", ".html", ".in", ".j2", ".json", ".lock", ".md"))
SUFFIXES |= {".png", ".py", ".sh", ".toml", ".yaml"}


def section(thing: str) -> str:
    """The text below "## Add a THING"."""
    return re.split(r"(?m)^## ", PAGE.partition(f"## Add a{'n' if thing[0] in 'aeiou' else ''} {thing}\n")[2])[0]


def blocks(text: str) -> list[tuple[str, str, str]]:
    """(path, text of the line after which it is inserted or "", content) of each block with a title."""
    return re.findall(r'(?ms)^```\w+ title=(\S+?)(?: after="(.*?)")?\n(.*?)^```$', text)


def add(thing: str, project: Path) -> None:
    """Do in *project* what the page says."""
    files = blocks(section(thing))
    assert 2 <= len(files) <= FILES[thing]
    for name, after, content in files:
        file = project / name
        if after:
            before, found, rest = file.read_text().partition(f"\n{after}")
            assert found, f"{name} has no line that begins with {after}"
            line, newline, rest = rest.partition("\n")
            file.write_text(before + found + line + newline + content + rest)
        else:
            assert not file.exists()
            file.write_text(content)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("components", "pipeline", "serving", "benchmarks", "dags", "docker", "tests", "docs"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "Makefile", "pyproject.toml", "requirements.lock", "requirements-gpu.lock"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.mark.parametrize("thing", FILES)
def test_what_the_page_adds_works(project: Path, thing: str) -> None:
    """A network, a source and a format run as soon as their files are there, and pass their own tests."""
    add(thing, project)
    commands = re.findall(r"(?m)^\$ python (.*)$", section(thing))
    assert len(commands) == 2
    for command in commands:
        done = subprocess.run(
            [sys.executable, *command.split()],
            cwd=project,
            env={**CLEAN, "PIPELINE_HOME": str(project / "workspace")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_additions_pass_the_checks_of_the_project(project: Path) -> None:
    """Style, and the tests of documentation and layout."""
    for command in ("ruff check .", "ruff format --check .", "pytest -q tests/test_docs.py tests/test_layout.py"):
        done = subprocess.run(
            [sys.executable, "-m", *command.split()],
            cwd=project,
            env=CLEAN,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_only_source_and_its_pictures_are_committed() -> None:
    """No data, model or database of a run."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert [name for name in listed.split("\0") if Path(name).suffix not in SUFFIXES] == []
