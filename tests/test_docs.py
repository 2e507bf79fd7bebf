"""README and docs are true: each setting, command, exit status and make target stands there, and nothing else."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.training import RESULTS, formats, table, techniques
from components import errors
from components.settings.source_defaults import SOURCE_DEFAULTS
from pipeline import config
from pipeline.cli.main import parser
from pipeline.graph import STAGES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCS = "\n".join(page.read_text() for page in PAGES)  # one text, wherever something stands


def rows(pattern: str) -> set[str]:
    return set(re.findall(pattern, DOCS, re.MULTILINE))


def test_every_setting_stands_with_its_default_and_its_meaning() -> None:
    """The table of settings is the declarations, marked where a change makes nothing again."""
    declared = {
        f"`{name}`{'' if spec.metadata['in_key'] else ' *'} | `{json.dumps(spec.default)}` | {spec.metadata['help']} |"
        for name, spec in config.SETTINGS.items()
    }
    assert rows(r"^\| (`[a-z]+\.[a-z0-9_]+`(?: \*)? \| `.*)$") == declared


def test_every_setting_that_is_recommended_for_a_source_is_told() -> None:
    """With the value that a run takes."""
    for source, recipe in SOURCE_DEFAULTS.items():
        sentence = next(line for line in DOCS.splitlines() if line.startswith(f"For `{source}`:"))
        assert set(re.findall(r"`([a-z]+\.[a-z_]+)=", sentence)) == recipe.keys()
        assert all(f"`{name}={value}`" in sentence for name, value in recipe.items())


def test_every_make_target_stands_with_its_help() -> None:
    """The table of targets is the Makefile."""
    targets = re.findall(r"^([a-z-]+):.*?## (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert rows(r"^\| (`make [^`]*` \| .*)$") == {f"`make {name}` | {help} |" for name, help in targets}


def test_every_command_is_listed() -> None:
    """`python -m pipeline COMMAND`, all of them."""
    (subparsers,) = (action for action in parser()._actions if action.dest == "command")
    listed = rows(r"^    python -m pipeline ([a-z-]+)")
    assert listed == set(subparsers.choices or ())


def test_every_exit_status_is_told() -> None:
    """Those of the errors, of success and of an interruption."""
    statuses = {
        error.exit_code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.Failure)
    }
    assert rows(r"^\| (\d+) \|") == {str(status) for status in statuses | {0, 129, 130, 143}}


def test_every_stage_is_in_the_table_and_in_the_picture() -> None:
    """In the order in which they run."""
    assert [name for name in re.findall(r"^\| (\w+) \| ", DOCS, re.MULTILINE) if name in STAGES] == list(STAGES)
    assert " --> ".join(STAGES) in DOCS


def test_every_file_that_is_shown_exists() -> None:
    """Pictures and links, each from the page that it stands on."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_fits_two_screens_and_maps_every_page() -> None:
    """At most 150 lines, with a link to each page in docs/."""
    readme = PAGES[0].read_text()
    assert len(readme.splitlines()) <= 150
    assert all(f"(docs/{page.name})" in readme for page in PAGES[1:])


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-gpu.lock"])
def test_nothing_names_the_machine_it_was_written_on(name: str) -> None:
    """No absolute path of somebody's checkout and no address of a package registry in what is committed."""
    lock = (ROOT / name).read_text()
    assert not re.search(r"https?://|--index|--find-links", lock)
    assert lock.count("==") <= lock.count("--hash=sha256:")


@pytest.mark.parametrize("made", [table, techniques, formats])
def test_the_tables_of_training_are_made_from_what_was_measured(made: Callable[[dict[str, Any]], str]) -> None:
    """`python -m benchmarks.training --table` prints them; a figure that nobody measured cannot stand there."""
    found = made(json.loads(RESULTS.read_text()))
    assert len(found.splitlines()) > 5
    assert found in DOCS
