"""The layout of the tree: a name leads to its place, and no folder becomes a corridor."""

import ast
from dataclasses import fields
from pathlib import Path

import pytest

from components.settings.sections import Params
from pipeline.graph import STAGES

ROOT = Path(__file__).parents[1]
SOURCE = [file for top in ("components", "pipeline", "serving") for file in sorted((ROOT / top).rglob("*.py"))]

# Sets variables that every library has to see before it is imported, so it runs before any module of the package.
CODE_IN_INIT = {"pipeline/__init__.py", "pipeline/airflow/__init__.py"}

# Modules that several packages import and that need none of them. Anything else belongs to a package.
SHARED = {
    "advice",
    "artifact_files",
    "errors",
    "findings",
    "formatting",
    "history",
    "metrics",
    "plotting",
    "printed_commands",
    "proportions",
    "progress",
    "public_text",
}

# Says what nobody can find again.
MEANINGLESS = {"base_utils", "common", "helper", "helpers", "lib", "manager", "misc", "tools", "util", "utils"}


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_has_a_folder_a_function_settings_and_tests(stage: str) -> None:
    """components/STAGE/stage.py with a function STAGE, a section of the settings, tests/components/STAGE/."""
    assert f"def {stage}(" in (ROOT / "components" / stage / "stage.py").read_text()
    assert stage in {field.name for field in fields(Params)}
    assert (ROOT / "tests/components" / stage / "test_stage.py").is_file()


def test_a_folder_with_a_stage_is_in_the_graph() -> None:
    """No stage.py lies around that no run calls."""
    assert {file.parent.name for file in (ROOT / "components").glob("*/stage.py")} == set(STAGES)


def test_an_init_holds_a_docstring_and_no_code() -> None:
    """Importing a module loads that module, not its neighbours."""
    for file in SOURCE:
        name = str(file.relative_to(ROOT))
        if file.name == "__init__.py" and name not in CODE_IN_INIT:
            body = ast.parse(file.read_text()).body
            assert len(body) == 1, f"{name} holds code"
            assert ast.get_docstring(ast.parse(file.read_text())), f"{name} has no docstring"


def test_every_folder_of_modules_is_a_package() -> None:
    """With a docstring that says what belongs there."""
    for folder in {file.parent for file in SOURCE} - {
        ROOT / "pipeline/airflow/plugins"
    }:  # Airflow loads plugins by file
        assert (folder / "__init__.py").is_file(), folder


def test_every_module_says_what_it_is() -> None:
    """In a docstring at its top."""
    for file in SOURCE:
        assert ast.get_docstring(ast.parse(file.read_text())), file.relative_to(ROOT)


def test_components_is_no_corridor() -> None:
    """A module directly in components/ is one that every package may import; the others lie with their stage."""
    assert {file.stem for file in (ROOT / "components").glob("*.py")} - {"__init__"} <= SHARED


def test_names_say_what_a_module_holds() -> None:
    """No utils, no helpers."""
    assert not {file.stem for file in SOURCE} & MEANINGLESS
    assert not {folder.name for file in SOURCE for folder in file.relative_to(ROOT).parents} & MEANINGLESS


def test_tests_mirror_the_source() -> None:
    """Each folder of tests/components and tests/pipeline tests the folder of the same name."""
    mirrored = {file.parent.relative_to(ROOT / "tests") for file in (ROOT / "tests").glob("[cp]*/**/test_*.py")}
    here = {Path("pipeline/airflow/celery")}  # runs tasks of pipeline/airflow on Celery and Kubernetes
    assert not [str(folder) for folder in mirrored - here if not (ROOT / folder).is_dir()]
