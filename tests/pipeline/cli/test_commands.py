"""The command line: answers on standard output, exit statuses, and no needless import."""

import dataclasses
import errno
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from components.printed_commands import runnable
from components.registry import class_names
from components.registry.client import Registry
from components.registry.model_version import ModelVersion
from pipeline.cli.main import COMMANDS, main
from pipeline.cli.registry import print_class_change
from tests.conftest import CLEAN, QUICK, ROOT, command

SETTINGS = [part for setting in QUICK for part in ("--set", setting)]
HEAVY = {"tensorflow", "keras", "mlflow", "matplotlib", "sklearn", "tensorflow_datasets", "airflow", "model_signing"}


def answer(home: Path, *arguments: str) -> Any:
    done = command(home, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_run_json_prints_one_object_and_everything_else_on_standard_error(home: Path) -> None:
    """A program can read the answer: the run, its stages, accuracy and model."""
    done = command(home, "run", "--json", "--source", "digits", *SETTINGS)
    result = json.loads(done.stdout)
    assert {"run", "stages", "accuracy", "model"} <= result.keys()
    assert {"stage", "key", "digest", "path", "made", "seconds"} == result["stages"][0].keys()
    assert result["model"] == {"name": "digits-classifier", "version": "1", "aliases": ["challenger", "champion"]}
    assert result["promotion"] == {"outcome": "unchanged", "reason": ""}  # it is the champion already
    assert "[8/8] promote    reused" in done.stderr


def test_a_refused_run_prints_its_object_too(home: Path) -> None:
    """With the state, the error and exit status 4."""
    done = command(home, "run", "--json", "--source", "digits", *SETTINGS, "--set", "gate.min_accuracy=0.9999")
    result = json.loads(done.stdout)
    assert (done.returncode, result["state"]) == (4, "refused")
    assert runnable(result["error"]) in done.stderr  # with the interpreter in use


def test_the_summary_of_a_run_has_everything_that_a_user_looks_for(home: Path) -> None:
    """Accuracy with its interval, version and aliases, files, report, times, and what to type next."""
    text = command(home, "run", "--source", "digits", *SETTINGS).stdout
    for part in (
        "95 % interval",
        "@champion",
        "saved_model",
        "model-int8.tflite",
        "report.html",
        "nothing to do",
        "mistakes: make review",
        "next",
    ):
        assert part in text


def test_find_lr_suggests_a_rate_and_leaves_runs_and_artifacts_alone(home: Path) -> None:
    """The command that takes the rate, and the picture beside the searches; what was made already is reused."""
    before = answer(home, "runs"), sorted((home / "artifacts").glob("*/*"))
    model = ("--set", "train.model=dense")
    result = answer(home, "find-lr", "--source", "digits", *model)
    assert 1e-5 < result["suggestion"] < 1
    rate = f"train.learning_rate={result['suggestion']:g}"
    assert result["command"] == f"python -m pipeline run --source digits --set train.model=dense --set {rate}"
    assert Path(result["picture"]).is_relative_to(home / "tune")
    assert not [folder for folder in (home / "runs").iterdir() if not (folder / "run.json").exists()]
    assert Path(result["picture"]).is_file()
    assert (answer(home, "runs"), sorted((home / "artifacts").glob("*/*"))) == before


def test_explain_shows_what_would_run_and_why(finished: Path) -> None:
    """A changed setting is named with both values; what depends on it has to wait."""
    rows = answer(finished, "explain", "--source", "digits", *SETTINGS, "--set", "train.dropout=0.1")
    result = {row["stage"]: (row["verdict"], row["reasons"]) for row in rows}
    assert result["normalize"] == ("reuse", [])
    assert result["train"] == ("run", ["train.dropout 0.4 -> 0.1"])
    assert result["evaluate"] == ("wait", ["reads train, which has to run first"])


def test_explain_runs_nothing(tmp_path: Path) -> None:
    """An empty home still has no artifacts afterwards."""
    rows = answer(tmp_path, "explain", "--source", "digits")
    assert rows[0]["reasons"] == ["it has not run yet"]
    assert not list(tmp_path.glob("artifacts/*/*"))


def test_the_tables_show_what_the_json_says(finished: Path) -> None:
    """models, runs, show, settings and verify print a table for people and the same facts for programs."""
    (version,) = answer(finished, "models")
    shown = command(finished, "models").stdout
    assert version["name"] in shown
    assert version["model_sha256"][:16] in shown
    (run, *_) = answer(finished, "runs")
    assert run["run"] in command(finished, "runs").stdout
    assert answer(finished, "show", run["run"]) == run
    shown = command(finished, "show").stdout
    assert run["stages"][0]["key"] in shown
    assert f"model sha256 {version['model_sha256']}" in shown
    assert answer(finished, "settings", "--source", "digits")["train.model"] == "cnn_bn"
    table = command(finished, "settings", "--source", "digits").stdout
    assert "train.model" in table
    assert " (derived) " in next(line for line in table.splitlines() if "train.threads" in line)
    assert "0 damaged" in command(finished, "verify").stdout


def test_verify_exits_with_one_and_names_the_damaged_file(home: Path) -> None:
    """So that a nightly job can watch the store."""
    path = next((home / "artifacts" / "train").glob("[!.]*/model.keras"))
    path.write_bytes(path.read_bytes()[:-1])
    done = command(home, "verify")
    assert done.returncode == 1
    assert f"{path} was changed" in done.stdout
    done = command(home, "verify", "--quick")  # the run has hashed it before
    assert (done.returncode, f"{path} was changed" in done.stdout) == (1, True)


def test_a_quick_verify_reads_no_file_that_looks_as_before(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The names, sizes and times of all artifacts, registered models and published exports are enough."""
    shutil.rmtree(home / "cache")  # this home is a copy: the statuses that its run remembered are those of other files
    read: list[Path] = []
    for module in ("pipeline.store.artifact", "components.registry.recorded_files", "components.inference.model_info"):
        monkeypatch.setattr(f"{module}.sha256_of_file", read.append)
    monkeypatch.setenv("PIPELINE_HOME", str(home))
    assert main(["verify", "--quick"]) == 0
    assert "looked at, 0 damaged" in capsys.readouterr().out
    assert read == []


NOTHING = {"artifacts": [], "copies": [], "old": [], "bytes": 0}


def test_gc_keeps_what_the_aliases_and_the_last_runs_need(home: Path) -> None:
    """What only an older run needs is deleted; a dry run only shows it; what the champion needs stays."""
    changed = command(home, "run", "--source", "digits", *SETTINGS, "--set", "normalize.seed=7", "--until", "normalize")
    assert changed.returncode == 0
    for _ in range(2):
        command(home, "run", "--source", "digits", *SETTINGS)
    dry = answer(home, "gc", "--keep", "2", "--dry-run")
    done = answer(home, "gc", "--keep", "2")
    assert dry == {name: done[name] for name in dry}
    assert done["disk"].endswith("how long they last is known after the next housekeeping")
    assert [path.partition("/")[0] for path in dry["artifacts"]] == ["normalize"]
    assert answer(home, "gc", "--keep", "1", "--dry-run") == NOTHING
    nothing = json.loads(command(home, "run", "--json", "--source", "digits", *SETTINGS).stdout)
    assert not any(stage["made"] for stage in nothing["stages"])


def test_gc_keeps_everything_that_the_champion_depends_on_without_any_run(home: Path) -> None:
    """Its images, training, evaluation and exports, so that a rollback finds them."""
    assert answer(home, "gc", "--keep", "0", "--dry-run") == NOTHING
    assert command(home, "gc", "--days", "-1").returncode == 2
    assert command(home, "gc", "--keep", "-1").returncode == 2


def test_gc_of_a_workspace_that_is_not_there_says_so(tmp_path: Path) -> None:
    """Such as one whose PIPELINE_HOME is mistyped; none is made."""
    done = command(tmp_path / "none", "gc")
    assert done.returncode == 2
    assert f"error: there is no workspace at {tmp_path / 'none'}; set PIPELINE_HOME to" in done.stderr
    assert not (tmp_path / "none").exists()


def test_rollback_without_an_earlier_champion_says_so(home: Path) -> None:
    """Exit status 2 and the command for a manual promotion."""
    done = command(home, "rollback")
    assert done.returncode == 2
    assert "has had no champion before version 1" in done.stderr


def test_a_manual_promotion_requires_force_and_a_reason(home: Path) -> None:
    """Nobody bypasses the gates by accident."""
    done = command(home, "promote", "1")
    assert done.returncode == 2
    assert "--force --reason TEXT" in done.stderr
    assert "has no version '9'" in command(home, "promote", "9", "--force", "--reason", "x").stderr


@pytest.mark.parametrize(
    "arguments", [["models"], ["report"], ["show"], ["rollback"], ["promote", "1", "--force", "--reason", "x"]]
)
def test_on_an_empty_home_each_command_says_what_to_do_first(tmp_path: Path, arguments: list[str]) -> None:
    """The message names `make pipeline`; there is no traceback."""
    done = command(tmp_path, *arguments)
    assert done.returncode == 2
    assert "make pipeline" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--force", "promote"], "--force promote has no effect: promote acts on the registry in every run"),
        (["--force", "train", "--until", "normalize"], "--force train has no effect: the run ends before train"),
    ],
)
def test_a_force_without_effect_is_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    """Stages that act on the registry run every time, and those after --until not at all."""
    done = command(tmp_path, "run", "--source", "digits", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_wrong_setting_exits_with_two_before_anything_runs(tmp_path: Path) -> None:
    """All problems, a line each, and an empty home."""
    done = command(tmp_path, "run", "--source", "digits", "--set", "train.epoch=3", "--set", "gate.min_accuracy=98")
    assert done.returncode == 2
    assert done.stderr.count("error:") == 2
    assert not list(tmp_path.iterdir())


def test_a_source_that_cannot_be_reached_names_three_ways_out(tmp_path: Path) -> None:
    """A closed port as the mirror is reported within seconds."""
    start = time.monotonic()
    done = command(tmp_path, "run", "--source", "mnist", "--set", "ingest.mirror=http://127.0.0.1:9/")
    assert time.monotonic() - start < 20
    assert done.returncode == 1
    for way in ("MNIST_DIR", "ingest.mirror", "SOURCE=digits"):
        assert way in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs"],
        ["models"],
        ["show"],
        ["verify"],
        ["gc", "--dry-run"],
        ["settings"],
        ["explain", "--source", "digits"],
        ["run", "--source", "digits", *SETTINGS],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_read_only_command_loads_anything_heavy(home: Path, arguments: list[str]) -> None:
    """Nor does a run with nothing to do, which passes every check and reads the registry."""
    script = (
        "import sys; from pipeline.__main__ import main; status = main(sys.argv[1:]);"
        f"print('loaded:', sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env={**CLEAN, "PIPELINE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "loaded: []"


def test_the_runner_the_graph_and_the_key_are_imported_without_numpy() -> None:
    """A DAG file that imports them parses in a blink."""
    script = f"import sys, pipeline.runner; print(sorted(({HEAVY!r} | {{'numpy', 'PIL', 'rich'}}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_imports_declarations_alone() -> None:
    """`--help` and completion answer at once: neither the settings nor the store is imported."""
    script = "import sys, pipeline.cli.main; print({'pipeline.config', 'pipeline.home'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "arguments",
    [["models", "a/b"], ["rollback", "--name", "a/b"], ["promote", "1", "--force", "--reason", "x", "--name", "a/b"]],
)
def test_a_model_name_that_cannot_be_is_the_same_sentence_everywhere(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Not "make it writable": the slash would have been a folder of locks."""
    assert main(arguments) == 2
    assert capsys.readouterr().err == (
        "error: the model's name is 'a/b'; expected a name, such as pets-classifier, without '/'\n"
    )


@pytest.mark.parametrize("run", ["a/b", "../out", "..", ".", "x" * 300])
def test_a_run_is_called_like_a_folder(capsys: pytest.CaptureFixture[str], run: str) -> None:
    """Its record lies in one below runs/, not beside it."""
    assert main(["stage", "ingest", "--source", "digits", "--run", run]) == 2
    assert "expected a name for a folder, of at most 200 bytes, without '/'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["runs"], ["models"], ["gc"], ["verify"], ["show"]])
def test_a_misspelt_variable_ends_every_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """`gc` would otherwise clean another workspace than the one that was meant."""
    monkeypatch.setenv("PIPELINE_HOEM", "/elsewhere")
    assert main(arguments) == 2
    assert "PIPELINE_HOEM sets nothing; did you mean 'PIPELINE_HOME'?" in capsys.readouterr().err


def test_a_tag_that_somebody_edited_is_no_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`models` lists every version, whatever was written into its tags in MLflow's UI."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    versions = [ModelVersion("m", str(n), tags={"accuracy": text}) for n, text in enumerate(("0.5", "", "good"), 1)]
    monkeypatch.setattr(Registry, "versions", lambda *_: versions)
    assert main(["models", "m", "--json"]) == 0
    assert [version["accuracy"] for version in json.loads(capsys.readouterr().out)] == [0.5, None, None]


def test_a_champion_of_other_classes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After `promote --force` and `rollback`: the classes that only one of the two champions knows, by name."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    old, new, unknown = (
        ModelVersion("zoo-classifier", "1", tags=tags)
        for tags in (class_names.tag(["ant", "cat"]), class_names.tag(["cat", "dog"]), {})
    )
    for before, after in ((old, old), (unknown, new), (new, unknown), (None, new)):
        print_class_change(before, after)
    assert capsys.readouterr().out == ""
    print_class_change(old, new)
    assert capsys.readouterr().out.splitlines() == [
        "it knows 'dog', which the champion before did not",
        "it does not know 'ant', which the champion before did",
    ]


@pytest.mark.parametrize("arguments", [["verify"], ["gc", "--dry-run"], ["runs"], ["settings"]])
def test_a_disk_that_cannot_be_read_is_a_sentence_in_every_command(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback: the path, what the system says, and exit status 1."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))

    def fail(_: object) -> int:
        raise OSError(errno.EIO, "Input/output error", str(tmp_path / "runs"))

    name = arguments[0]
    monkeypatch.setitem(COMMANDS, name, dataclasses.replace(COMMANDS[name], function=fail))
    assert main(arguments) == 1
    assert f"error: the disk failed at {tmp_path}/runs (Input/output error); check it" in capsys.readouterr().err


def test_rejected_data_have_a_status_of_their_own(home: Path) -> None:
    """3: a script can tell them from a mistake, from a rejected model, and from what a retry may cure."""
    done = command(home, "run", "--source", "digits", *SETTINGS, "--set", "validate.min_images=5000")
    assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr
    assert "validate.min_images" in done.stderr.splitlines()[-1]
