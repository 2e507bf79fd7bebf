"""The runner: what ran and what did not, and that every entry point passes the same guards."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from components.errors import ArtifactMissing, DataRejected, ExportRejected, ModelRejected
from components.ingest import select
from components.ingest.reading.image_source import ImageSource
from components.settings.sections import Ingest, Train
from components.train.resolve import planned
from pipeline import config, execute
from pipeline.graph import STAGES
from pipeline.home import Home
from pipeline.run_record import find
from pipeline.runner import Runner
from tests.conftest import CLEAN, QUICK, ROOT, command, quick_run


def run(home: Path, *overrides: str, source: str = "digits", until: str = "", force: tuple[str, ...] = ()) -> Runner:
    params = config.load("", (*QUICK, *overrides), source, {})
    return execute.run(params, Home(home), until=until, force=force)


def made(runner: Runner) -> list[str]:
    return [done.stage for done in runner.record.stages if done.made]


def digests(runner: Runner) -> dict[str, str]:
    return {done.stage: done.digest for done in runner.record.stages}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with two classes of eighty grey images each."""
    folder = tmp_path / "pictures"
    for label, name in enumerate(("cats", "dogs")):
        (folder / name).mkdir(parents=True)
        for number in range(80):
            image = Image.new("L", (12, 12), 40 + 100 * label)
            image.putpixel((number % 12, number // 12), 255)
            image.save(folder / name / f"{number}.png")
    return folder


def read_with(change: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> list[ImageSource]:
    """Have *change* happen in the first reading, before the first image is decoded; returns the readings."""
    read, readings = select.read, list[ImageSource]()

    def changing(params: Ingest, cache: Path) -> ImageSource:
        readings.append(read(params, cache))
        if len(readings) == 1:
            change()
        return readings[-1]

    monkeypatch.setattr(select, "read", changing)
    return readings


def test_images_that_arrive_while_others_are_read_are_left_to_the_next_run(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run has the images that were there when it began, read once; the next one has them all."""
    new = pictures / "cats" / "new.png"
    readings = read_with(lambda: Image.new("L", (12, 12), 7).save(new), monkeypatch)
    first = run(tmp_path / "home", source=str(pictures), until="ingest")
    assert sum(first.facts["ingest"]["images"].values()) == 160
    assert len(readings) == 1
    second = run(tmp_path / "home", source=str(pictures), until="ingest")
    assert sum(second.facts["ingest"]["images"].values()) == 161


def test_images_that_change_while_they_are_read_are_read_again(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was there before cannot be read any more: the run takes what is there by then, and its key says so."""
    image = pictures / "cats" / "7.png"
    readings = read_with(lambda: Image.new("L", (12, 12), 7).save(image), monkeypatch)
    runner = run(tmp_path / "home", source=str(pictures), until="ingest")
    assert len(readings) == 2
    assert f"  {pictures} changed while it was being read; reading it again\n" in capsys.readouterr().err
    sha256 = json.loads((runner.artifact("ingest").path / "sha256.json").read_text())
    assert sha256["cats/7.png"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert run(tmp_path / "home", source=str(pictures), until="ingest").record.stages[0].made is False


def test_a_run_with_nothing_changed_reuses_everything(home: Path) -> None:
    """All eight are reused, and the answer names the same artifacts."""
    first, second = run(home), run(home)
    assert made(first) == made(second) == []
    assert [done.stage for done in second.record.stages] == list(STAGES)
    assert digests(first) == digests(second)


def test_how_the_network_is_trained_is_said_before_the_training(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a run that reuses it too, and in the report above its figures; what normalize wrote is read once for it."""
    read: list[Path] = []

    def recorded(params: Train, normalize: Path) -> tuple[Train, str]:
        read.append(normalize)
        return planned(params, normalize)

    monkeypatch.setattr("pipeline.runner.planned", recorded)
    runner = run(home)
    lines = capsys.readouterr().err.splitlines()
    before, plan, after = lines[(at := lines.index(f"  {runner.training_plan()}")) - 1 : at + 2]
    assert (before[:17], after[:13]) == ("[3/8] normalize  ", "[4/8] train  ")
    assert plan == "  1,293 training images of 28x28x1: batches of 32, 2 epochs, 82 steps"
    assert read == [runner.artifact("normalize").path]
    assert f"<p>{plan.strip()}.</p>" in Path(runner.record.report).read_text()


def test_the_outcome_of_a_stage_is_the_one_in_the_record(home: Path) -> None:
    """What a line of progress and Airflow's result say of a stage, its seconds included."""
    params = config.load("", QUICK, "digits", {})
    with execute.recorded(params, Home(home), "timed") as runner:
        done = runner.run_stage("ingest")
    assert done == runner.record.done("ingest")
    assert done.seconds > 0


def test_a_new_gate_judges_the_reused_evaluation_and_makes_nothing(home: Path) -> None:
    """A raised gate refuses at once, without training again, and leaves champion and challenger where they are."""
    before = command(home, "models", "--json").stdout
    with pytest.raises(ModelRejected, match=r"below the gate of 99\.99 %"):
        run(home, "gate.min_accuracy=0.9999")
    record = find(Home(home))
    assert record.state == "refused"
    assert [(done.stage, done.made) for done in record.stages][-1] == ("evaluate", False)
    assert command(home, "models", "--json").stdout == before


@pytest.mark.parametrize("bound", ["max_bytes=1000", "max_latency_ms=1e-6", "max_latency_ratio=1e-6"])
def test_a_new_budget_judges_the_exports_that_are_there(home: Path, bound: str) -> None:
    """The latencies of reused files are those of the run that made them, so the verdict is the same every time."""
    with pytest.raises(ExportRejected, match=rf"^model-int8\.tflite .* \(gate\.{bound.partition('=')[0]}\)"):
        run(home, f"gate.{bound}")
    record = find(Home(home))
    assert record.state == "refused"
    assert [(done.stage, done.made) for done in record.stages][-1] == ("export", False)


@pytest.mark.parametrize("stage", ["register", "export", "promote"])
def test_no_stage_after_a_refusal_can_be_run_by_itself(home: Path, stage: str) -> None:
    """`stage promote` refuses what `run` would refuse."""
    params = config.load("", (*QUICK, "gate.min_accuracy=0.9999"), "digits", {})
    with execute.recorded(params, Home(home), "try") as runner, pytest.raises(ModelRejected):
        runner.run_stage(stage)


def test_a_stage_that_runs_too_early_names_the_stage_to_run_first(tmp_path: Path) -> None:
    """Not a file-not-found error three calls deep."""
    params = config.load("", (), "digits", {})
    with (
        execute.recorded(params, Home(tmp_path), "try") as runner,
        pytest.raises(ArtifactMissing, match="run 'python -m pipeline stage ingest' first"),
    ):
        runner.run_stage("train")


def test_stages_run_one_by_one_make_what_a_run_makes(tmp_path: Path) -> None:
    """Each process finds its inputs by recomputing their keys, and the digests are the same."""
    params = config.load("", QUICK, "digits", {})
    one_by_one = {}
    for stage in ("ingest", "validate", "normalize"):
        one_by_one[stage] = execute.run_stage(params, Home(tmp_path / "a"), stage, "same-run")["digest"]
        assert find(Home(tmp_path / "a")).state == "unfinished"
    assert one_by_one == digests(run(tmp_path / "b", until="normalize"))
    assert [done.stage for done in find(Home(tmp_path / "a")).stages] == ["ingest", "validate", "normalize"]


def test_until_stops_after_a_stage_and_a_later_run_continues_there(tmp_path: Path) -> None:
    """Finished stages are kept for the run that goes further."""
    assert made(run(tmp_path, until="validate")) == ["ingest", "validate"]
    assert made(run(tmp_path, until="normalize")) == ["normalize"]


def test_force_rebuilds_a_stage_with_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The stages that read it are reused, because the bytes are the same."""
    before = run(tmp_path, until="normalize")
    again = run(tmp_path, until="normalize", force=("ingest",))
    assert made(again) == ["ingest"]
    assert digests(again) == digests(before)
    assert "ingest rebuilt: output is identical" in capsys.readouterr().err


def test_touching_the_source_runs_nothing_again(tmp_path: Path, pictures: Path) -> None:
    """A new modification time is not a new image."""
    run(tmp_path / "home", source=str(pictures), until="normalize")
    for path in pictures.rglob("*.png"):
        os.utime(path)
    assert made(run(tmp_path / "home", source=str(pictures), until="normalize")) == []


def test_a_source_that_moved_is_the_same_source(tmp_path: Path, pictures: Path) -> None:
    """Images are identified by content and by the name of the folder, not by its path."""
    source = pictures.rename(tmp_path / "pets")
    before = run(tmp_path / "home", source=str(source), until="normalize")
    (tmp_path / "elsewhere").mkdir()
    moved = source.rename(tmp_path / "elsewhere" / "pets")
    after = run(tmp_path / "home", source=str(moved), until="normalize")
    assert made(after) == []
    assert digests(after) == digests(before)


def test_a_new_image_runs_every_stage_that_depends_on_it(tmp_path: Path, pictures: Path) -> None:
    """One more file in the folder is another data set."""
    run(tmp_path / "home", source=str(pictures), until="normalize")
    Image.new("L", (12, 12), 77).save(pictures / "cats" / "new.png")
    assert made(run(tmp_path / "home", source=str(pictures), until="normalize")) == ["ingest", "validate", "normalize"]


def test_rejected_data_end_the_run_and_leave_a_report(tmp_path: Path, pictures: Path) -> None:
    """Too few images: exit status 3, nothing is trained, and the report shows what was measured."""
    with pytest.raises(DataRejected, match=r"validate\.min_images"):
        run(tmp_path / "home", "validate.min_images=1000", source=str(pictures))
    record = find(Home(tmp_path / "home"))
    assert (record.state, [done.stage for done in record.stages]) == ("refused", ["ingest", "validate"])
    assert "validate.min_images" in Path(record.report).read_text()


def checkout(tmp_path: Path) -> Path:
    for package in ("components", "pipeline"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def made_in(checkout: Path, home: Path) -> list[str]:
    """The stages up to normalize that a process of the code in *checkout* makes."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "run", "--json", "--source", "digits", "--until", "normalize"],
        cwd=checkout,
        env={**CLEAN, "PIPELINE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [stage["stage"] for stage in json.loads(done.stdout)["stages"] if stage["made"]]


def test_changed_code_that_yields_the_same_bytes_stops_there(tmp_path: Path) -> None:
    """An edited stage runs again; what reads it does not, because its bytes did not change."""
    code, home = checkout(tmp_path / "code"), tmp_path / "home"
    assert made_in(code, home) == ["ingest", "validate", "normalize"]
    module = code / "components" / "ingest" / "stage.py"
    module.write_text(module.read_text() + "\nUNUSED = 1\n")
    assert made_in(code, home) == ["ingest"]
    module.write_text(module.read_text() + "\n# a comment\n")
    assert made_in(code, home) == []


@pytest.mark.parametrize("damaged", ["train/labels.npy", "manifest.json"])
def test_a_damaged_artifact_is_detected_before_use_named_and_made_again(
    home: Path, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flipped bit in an input does not reach the next artifact."""
    artifact = next((home / "artifacts" / "ingest").glob("[!.]*"))
    content = bytearray((artifact / damaged).read_bytes())
    content[len(content) // 2] ^= 1
    (artifact / damaged).write_bytes(content)
    assert made(run(home, "normalize.seed=5", until="normalize")) == ["ingest", "normalize"]
    assert "making ingest again" in capsys.readouterr().err
    assert command(home, "verify").returncode == 0


def test_a_model_damaged_after_its_evaluation_is_not_registered(home: Path) -> None:
    """Every byte is read before the registry is touched: training runs again, and the intact model is registered."""
    (home / "mlflow.db").unlink()
    model = next((home / "artifacts" / "train").glob("[!.]*/model.keras"))
    intact = model.read_bytes()
    model.write_bytes(intact[:-1] + bytes([intact[-1] ^ 1]))
    done = command(home, "run", "--source", "digits", *[part for setting in QUICK for part in ("--set", setting)])
    assert done.returncode == 0, done.stderr
    assert "model.keras was changed since it was published; making train again" in done.stderr
    assert model.read_bytes() == intact
    (version,) = json.loads(command(home, "models", "--json").stdout)
    assert version["digest"] == hashlib.sha256(intact).hexdigest()


def test_a_deleted_registry_gets_its_version_back_and_nothing_else_runs(home: Path) -> None:
    """Register and promote look for their effect; where it is gone they repeat it from the stored artifacts."""
    (home / "mlflow.db").unlink()
    answer = quick_run(home)
    assert [s["stage"] for s in answer["stages"] if s["made"]] == ["register", "promote"]
    assert answer["model"] == {"name": "digits-classifier", "version": "1", "aliases": ["challenger", "champion"]}


def test_a_run_continues_after_the_registry_was_unreachable(home: Path) -> None:
    """MLflow down: one sentence and exit status 1; once it is back, only the stages that need it run.

    Those that act on the registry, and export, whose model card quotes the new evaluation.
    """
    settings = [part for setting in QUICK for part in ("--set", setting)]
    away = command(
        home,
        "run",
        "--source",
        "digits",
        *settings,
        "--set",
        "evaluate.mistakes=9",
        MLFLOW_TRACKING_URI="http://127.0.0.1:9",
    )
    assert away.returncode == 1
    assert "MLflow at http://127.0.0.1:9 did not answer" in away.stderr
    assert "Traceback" not in away.stderr
    answer = quick_run(home, "--set", "evaluate.mistakes=9")
    assert [stage["stage"] for stage in answer["stages"] if stage["made"]] == ["export"]


def test_promotion_can_be_left_to_an_operator(home: Path) -> None:
    """promote.automatic=false registers, exports and leaves the champion alone."""
    (home / "mlflow.db").unlink()
    answer = quick_run(home, "--set", "promote.automatic=false")
    assert answer["model"]["aliases"] == ["challenger"]
