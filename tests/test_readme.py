"""The README is true: its command runs as it stands, its tables are those of the code and of the measurements."""

import json
import re
import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path

from components.errors import ModelRejected, PromotionRejected
from pipeline.graph import STAGES
from tests.conftest import CLEAN, ROOT, command

README = (ROOT / "README.md").read_text()
ALONE = ("--config-file=", "--follow-imports=skip", "--explicit-package-bases", "--cache-dir=/dev/null")
GUARDED = {"sched_getaffinity", "sched_setaffinity"}
EXIT = re.compile(r"\(exit (\d)\)")

# Imported by every Python process before anything else: writes down where it connects to.
WATCH = """
import sys
def note(event, arguments):
    if event == "socket.getaddrinfo" or event == "socket.connect" and isinstance(arguments[1], tuple):
        with open({file!r}, "a") as file:
            print(event, arguments[1] if event == "socket.connect" else arguments[0], file=file)
sys.addaudithook(note)
"""


def table(heading: str) -> list[list[str]]:
    """The rows of the table below *heading*, without its header; the cells of each."""
    lines = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0].splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][1:]


def test_the_command_of_the_champion_runs_as_it_stands(finished: Path, tmp_path: Path) -> None:
    """Beside a workspace with a champion of the digits it prints an image's probabilities of ten classes."""
    text = README[README.index("    MLFLOW_TRACKING_URI=") :].partition("\n\n")[0]
    (tmp_path / "workspace").symlink_to(finished)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    done = subprocess.run(
        ["sh", "-c", textwrap.dedent(text)],
        cwd=tmp_path, env={**CLEAN, "MLFLOW_DISABLE_TELEMETRY": "true"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "[1 rows x 10 columns]" in done.stdout
    probabilities = [float(number) for number in re.findall(r"\d\.\d+(?:e-\d+)?", done.stdout)]
    assert probabilities
    assert 0 < sum(probabilities) < 1  # of the columns that pandas shows


def test_the_digits_need_no_network(tmp_path: Path) -> None:
    """Up to the arrays for the training no process connects to anything, or asks for the address of a host."""
    (tmp_path / "sitecustomize.py").write_text(WATCH.format(file=str(tmp_path / "connections")))
    path = {"PYTHONPATH": str(tmp_path)}
    done = command(tmp_path / "home", "run", "--source", "digits", "--until", "normalize", **path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "connections").exists(), (tmp_path / "connections").read_text()


def test_no_module_needs_what_macos_lacks() -> None:
    """By mypy's knowledge of Python's own modules there; the two functions are asked for by hasattr before."""
    folders = ["components", "pipeline", "dags", "serving", "docker"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--platform", "darwin", *ALONE, *folders],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert re.search(r"checked \d{3} source files", done.stdout), done.stdout + done.stderr
    lacking = [line for line in done.stdout.splitlines() if "Module has no attribute" in line]
    assert {line.partition('"')[2].partition('"')[0] for line in lacking} == GUARDED, "\n".join(lacking)


def test_the_table_of_stages_reads_what_the_graph_reads() -> None:
    """The source, then the artifacts whose bytes those of the stage depend on."""
    source, *others = ((row[0], row[1]) for row in table("Stages"))
    assert source == ("ingest", "the source")
    assert {stage: set(reads.split(", ")) for stage, reads in others} == {
        name: set(stage.reads) for name, stage in STAGES.items() if stage.reads
    }


def test_a_stage_rejects_with_the_exit_status_beside_it() -> None:
    """In the table, and in the picture above it."""
    picture = dict(re.findall(r'^ +(\w+) -\. ".*: exit (\d)"', README, re.MULTILINE))
    assert picture.keys() == {"validate", "evaluate", "export", "promote"}
    statuses = {"train": ModelRejected.exit_code, "promote": PromotionRejected.exit_code} | {
        name: import_module(f"components.{name}.check").REJECTION.exit_code
        for name in ("validate", "evaluate", "export")
    }
    shown = {row[0]: int(found[1]) for row in table("Stages") if (found := EXIT.search(row[-1]))}
    assert shown == statuses
    assert {name: int(status) for name, status in picture.items()}.items() <= statuses.items()


def test_the_figures_are_those_of_the_pages_that_measure_them() -> None:
    """Each number of a row stands in one line of benchmarks.md or training.md, which say how it was measured."""
    lines = [
        line for page in ("benchmarks", "training") for line in (ROOT / f"docs/{page}.md").read_text().splitlines()
    ]
    measured = [set(re.findall(r"\d[\d,.]*\d|\d", line)) for line in lines if line.startswith("| ")]
    for what, figures in table("Measured"):
        for part in figures.split("; "):
            numbers = set(re.findall(r"\d[\d,.]*\d|\d", part))
            assert any(numbers <= line for line in measured), f"{what}: {part}"
    assert "| whole pipeline on the built-in digits, cold | 40 s," in "\n".join(lines)
    assert ["accuracy on the built-in digits, in 40 s", "99.17 %"] in table("Measured")


def test_the_tree_has_every_folder_of_code() -> None:
    """And no other; each is one that mypy reads, whose list is in pyproject.toml."""
    shown = re.findall(r"^    (\w+)/ ", README.partition("\n## The tree\n")[2], re.MULTILINE)
    read = re.search(r"^files = (\[.*\])$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert read
    assert sorted(shown) == sorted(json.loads(read[1]))
