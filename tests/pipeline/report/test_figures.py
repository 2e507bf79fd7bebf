"""The figures of an evaluation are drawn once for what they depend on, and found again without NumPy."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from components.evaluate.figures import draw as module
from pipeline import garbage
from pipeline.home import Home
from pipeline.report.figures import INPUTS, figures
from pipeline.store.artifact import Artifact
from pipeline.store.recipe import Recipe


def artifacts(folder: Path) -> dict[str, Artifact]:
    recipe: Recipe = {"stage": "", "code": {}, "params": {}, "inputs": {}, "runtime": {}}
    return {stage: Artifact(stage, "0" * 16, folder / stage, stage * 8, recipe, {}, {}, {}) for stage in INPUTS}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The evaluations that are drawn, each as one file."""
    calls: list[Path] = []

    def draw(normalize: Path, train: Path, evaluate: Path, out: Path) -> None:
        calls.append(evaluate)
        (out / "confusion.png").write_bytes(b"png")

    monkeypatch.setattr(module, "draw", draw)
    return calls


def test_figures_are_drawn_once_for_each_evaluation(tmp_path: Path, drawn: list[Path]) -> None:
    """The second report takes those of the first; another evaluation has its own."""
    home, first = Home(tmp_path), artifacts(tmp_path)
    folder = figures(home, first)
    assert (folder / "confusion.png").exists()
    assert figures(home, first) == folder
    assert len(drawn) == 1
    assert garbage.find(home, [{"evaluate.key": first["evaluate"].key}]).folders == []
    assert garbage.find(home, []).folders == [folder]
    other = first | {"evaluate": replace(first["evaluate"], digest="another")}
    assert figures(home, other) != folder
    assert len(drawn) == 2


def test_a_drawing_that_fails_leaves_nothing_to_be_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: list[Path]
) -> None:
    """The next report draws again, as after a process that was killed."""
    home = Home(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "draw", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            figures(home, artifacts(tmp_path))
    assert [path.name for path in figures(home, artifacts(tmp_path)).iterdir()] == ["confusion.png"]


def test_kept_figures_are_found_without_numpy(tmp_path: Path, drawn: list[Path]) -> None:
    """A run with nothing to do draws nothing."""
    folder = figures(Home(tmp_path), artifacts(tmp_path))
    code = (
        "import sys; from pathlib import Path; from pipeline.home import Home\n"
        "from pipeline.report.figures import INPUTS, figures; from pipeline.store.artifact import Artifact\n"
        "root = Path(sys.argv[1])\n"
        "made = {s: Artifact(s, '0' * 16, root / s, s * 8, {}, {}, {}, {}) for s in INPUTS}\n"
        "print(figures(Home(root), made), [m for m in ('numpy', 'matplotlib', 'tensorflow') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    assert ran.stdout == f"{folder} []\n"
