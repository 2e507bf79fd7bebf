"""`python -m pipeline tune` on digits: its trials, its files, and that it can be killed at any moment."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from components.system.processes import end_with_parent
from tests.conftest import CLEAN, ROOT, command
from tests.support.tuning_searches import settings_file

# The current settings learn; the other learning rate does not, and is pruned.
SPACE = '"train.learning_rate" = {choices = [0.01, 1e-6]}\n"train.dropout" = {low = 0.1, high = 0.5}'
SETTINGS = '[train]\nmodel = "dense"\nepochs = 3\nlearning_rate = 0.01\n[gate]\nmin_accuracy = 0.1'
# Whatever the processor rounds: the rate 0.01 is far above the median of the first two trials, 1e-6 far below.
TUNE = "trials = 4\nstartup = 2\nwarmup = 0"

# Loaded by every process of a search: records which files of the store a process opens.
SPY = """
import os, sys
def record(event, details):
    if event == "open" and "/artifacts/normalize/" in str(details[0]):
        who = "worker" if "pipeline.tuning.trial_worker" in sys.orig_argv else "search"
        with open(os.environ["OPENED"], "a") as file:
            file.write(f"{os.getpid()} {who} {details[0]}\\n")
sys.addaudithook(record)
"""

# Kills the first process of a search that has recorded its trial as running and has not named it to the search.
KILL = """
import os, signal, sys
written = []
def watch(event, details):
    if event == "open" and str(details[0]).endswith(".journal"):
        if written and not os.path.exists(os.environ["KILLED"]):
            open(os.environ["KILLED"], "x").close()
            os.kill(os.getpid(), signal.SIGKILL)
        if "pipeline.tuning.trial_worker" in sys.orig_argv and details[1] == "a":
            written.append(details)
sys.addaudithook(watch)
"""


def start(home: Path, file: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", "tune", "--config", str(file), "--json", *arguments],
        cwd=ROOT,
        env={**CLEAN, "PIPELINE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - sets one flag of the child
    )


def searched_answer(home: Path, file: Path, *arguments: str, **environment: str) -> tuple[dict[str, Any], str]:
    """The answer of a search that has to succeed, and its messages."""
    done = command(home, "tune", "--config", str(file), "--json", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def trials(home: Path, study: str) -> list[tuple[Any, ...]]:
    """(state, settings, value, values by epoch) of each trial, as Optuna reads them; none before the study exists."""
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    file = home / "tune" / f"{study}.journal"
    if not file.exists():
        return []
    storage = JournalStorage(JournalFileBackend(str(file)))
    if not storage.get_all_studies():
        return []
    kept = optuna.load_study(study_name=study, storage=storage).trials
    return [(t.state.name, t.params, t.value, t.intermediate_values) for t in kept]


def trainings(home: Path) -> set[str]:
    return {path.name for path in (home / "artifacts/train").glob("[!.]*")}


@pytest.fixture(scope="module")
def before(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with ingested, validated and normalized digits and a registry."""
    home = tmp_path_factory.mktemp("searched") / "home"
    shutil.copytree(finished, home)
    return home


@pytest.fixture(scope="module")
def searched(before: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any], str]:
    """A finished search: its home, its settings file, its answer, its messages. Not to be changed."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "spy").mkdir()
    (folder / "spy/sitecustomize.py").write_text(SPY)
    file, home = settings_file(folder, SPACE, TUNE, SETTINGS), folder / "home"
    shutil.copytree(before, home)
    spied = {"PYTHONPATH": str(folder / "spy"), "OPENED": str(folder / "opened")}
    return home, file, *searched_answer(home, file, "--out", str(folder / "best.toml"), **spied)


Searched = tuple[Path, Path, dict[str, Any], str]


def test_a_search_completes_and_prunes_trials_and_names_the_best(searched: Searched) -> None:
    """A line for each trial, with the best so far; the answer counts them; no warning of a library is shown."""
    _, _, answer, said = searched
    assert answer["trials"]["completed"] >= 2
    assert answer["trials"]["pruned"] >= 1
    assert sum(answer["trials"].values()) == 4
    assert answer["best"]["settings"]["train.learning_rate"] == 0.01
    assert re.search(
        r"^trial 1/4  \d\d\.\d\d.%  in .* best \d\d\.\d\d.% \(trial 1\), about .* left$", said, re.MULTILINE
    )
    assert re.search(r"^trial \d/4  pruned after 1 epoch \(behind the median\)", said, re.MULTILINE)
    assert "Warning" not in said
    assert "ptuna" not in said


def test_pruned_trials_leave_nothing_behind(searched: Searched) -> None:
    """One training in the store for each completed trial; no draft and no scratch folder of the others."""
    home, _, answer, _ = searched
    assert len(trainings(home)) == 1 + answer["trials"]["completed"]  # the run before the search trained one
    assert not list((home / "artifacts/train").glob(".draft-*"))
    assert not list((home / "work").glob("*"))


def test_the_best_is_not_trained_again(searched: Searched) -> None:
    """`run` with the written settings reuses every stage up to train."""
    home, _, answer, _ = searched
    done = command(home, "run", "--json", "--config", answer["profile"], "--until", "train")
    stages = json.loads(done.stdout)["stages"]
    assert [(s["stage"], s["made"]) for s in stages] == [
        ("ingest", False),
        ("validate", False),
        ("normalize", False),
        ("train", False),
    ]
    assert stages[-1]["key"] == answer["best"]["key"]
    text = Path(answer["profile"]).read_text()
    assert text.startswith("# Written by python -m pipeline tune")
    assert "[tune]" not in text


def test_gc_keeps_the_best_training_and_no_other(searched: Searched, tmp_path: Path) -> None:
    """The written settings rely on it, though no run has used it yet."""
    home, _, answer, _ = searched
    copy = tmp_path / "home"
    shutil.copytree(home, copy)
    assert command(copy, "gc", "--keep", "0").returncode == 0
    assert answer["best"]["key"] in trainings(copy)
    assert len(trainings(copy)) < len(trainings(home))


def test_the_trainings_open_no_file_of_the_test_split(searched: Searched) -> None:
    """Neither images nor labels nor anything else in it; they do open those of the two other splits."""
    lines = (searched[1].parent / "opened").read_text().splitlines()
    opened = {line.split(" ", 2)[2] for line in lines if " worker " in line}
    assert {re.sub(r".*/normalize/\w+/(\w+).*", r"\1", name) for name in opened} == {
        "train",
        "validation",
        "data",
        "manifest",
    }


def test_each_trial_is_a_child_run_in_mlflow(searched: Searched) -> None:
    """With its settings, the metrics of each epoch and its state, below one run of the search."""
    from mlflow import MlflowClient

    home, _, answer, _ = searched
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    parent = client.get_run(answer["mlflow_run"])
    filter = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = client.search_runs([parent.info.experiment_id], filter)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["best_validation_accuracy"] == answer["best"]["value"]
    assert sorted(run.data.tags["pipeline.trial"] for run in children) == list("1234")
    states = sorted(run.data.tags["state"] for run in children)
    assert states == ["completed"] * answer["trials"]["completed"] + ["pruned"] * answer["trials"]["pruned"]
    best = next(r for r in children if r.data.tags["pipeline.trial"] == str(answer["best"]["trial"]))
    assert best.data.params == {name: str(value) for name, value in answer["best"]["settings"].items()}
    epochs = client.get_metric_history(best.info.run_id, "val_accuracy")
    assert [metric.step for metric in epochs] == [1, 2, 3]
    assert {path.path for path in client.list_artifacts(parent.info.run_id)} == {"best.toml", "search.html"}


def test_the_report_has_everything_in_it(searched: Searched) -> None:
    """The figures as data, every trial in its table, and no address of another file."""
    page = Path(searched[2]["report"]).read_text()
    assert page.count('src="data:image/png;base64,') == 3
    assert page.count("</tr>") >= 4 + 2
    assert not re.search(r'(src|href)="http|@import|url\(', page)
    assert f"Trial {searched[2]['best']['trial']} is the best of 4" in page


def test_a_finished_search_that_is_called_again_runs_no_trial(searched: Searched) -> None:
    """It gives the same answer."""
    home, file, answer, _ = searched
    again, said = searched_answer(home, file, "--out", answer["profile"])
    assert (again["best"], again["trials"], again["mlflow_run"]) == (
        answer["best"],
        answer["trials"],
        answer["mlflow_run"],
    )
    assert "trial" not in said


def test_a_killed_search_resumes_where_it_was(searched: Searched, before: Path, tmp_path: Path) -> None:
    """After SIGKILL in the middle of a trial its worker ends by itself; the next call gives the very same trials."""
    home, file = tmp_path / "home", settings_file(tmp_path, SPACE, TUNE, SETTINGS)
    shutil.copytree(before, home)
    process = start(home, file, "--trials", "2")
    wait_until(lambda: any(t[3] for t in trials(home, "search")))  # one of three epochs
    (worker,) = psutil.Process(process.pid).children()
    process.kill()
    process.communicate()
    assert [t[0] for t in trials(home, "search")].count("RUNNING") == 1
    psutil.wait_procs([worker], timeout=60)
    assert not worker.is_running()
    _, said = searched_answer(home, file, "--trials", "2")
    assert "resuming 1 unfinished trial\n" in said
    assert trials(home, "search") == trials(searched[0], "search")[:2]


def test_two_trials_at_a_time_run_in_a_process_each(searched: Searched, before: Path, tmp_path: Path) -> None:
    """The same settings give the same bytes there; a process that is killed is replaced, and its trial completed."""
    home, file = tmp_path / "home", settings_file(tmp_path, SPACE, "trials = 2\nstartup = 9", SETTINGS)
    shutil.copytree(before, home)
    process = start(home, file, "--parallel", "2")
    # A process names its trial before it chooses the trial's settings.
    wait_until(lambda: [t[0] for t in trials(home, "search") if t[1]].count("RUNNING") == 2)
    psutil.Process(process.pid).children()[1].kill()
    answer, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert re.search(r"trial [12]: its process was killed by signal 9", said)
    assert json.loads(answer)["trials"] == {"completed": 2, "pruned": 0, "failed": 0}
    assert trials(home, "search")[0] == trials(searched[0], "search")[0]
    shared = trainings(home) & trainings(searched[0]) - trainings(before)
    assert shared
    for key in shared:
        manifests = [
            json.loads((h / "artifacts/train" / key / "manifest.json").read_text()) for h in (home, searched[0])
        ]
        assert manifests[0]["digest"] == manifests[1]["digest"]


def test_a_trial_whose_process_dies_before_it_names_it_is_run_again(before: Path, tmp_path: Path) -> None:
    """The search has no number to queue again, and looks for running trials once no process is left."""
    home, file = tmp_path / "home", settings_file(tmp_path, SPACE, "trials = 2\nstartup = 9", SETTINGS)
    shutil.copytree(before, home)
    (tmp_path / "sitecustomize.py").write_text(KILL)
    environment = {"PYTHONPATH": str(tmp_path), "KILLED": str(tmp_path / "killed")}
    answer, said = searched_answer(home, file, **environment)
    assert "a trial that had not begun: its process was killed by signal 9" in said
    assert answer["trials"] == {"completed": 2, "pruned": 0, "failed": 0}
    assert [state for state, *_ in trials(home, "search")] == ["COMPLETE", "COMPLETE"]


def test_a_search_without_enough_time_reports_it(searched: Searched, tmp_path: Path) -> None:
    """Exit status 1: the next call continues. A mistake in the space is reported before anything is made."""
    home = tmp_path / "home"
    shutil.copytree(searched[0], home)
    file = settings_file(tmp_path, SPACE, TUNE, SETTINGS, name="other")
    done = command(home, "tune", "--config", str(file), "--seconds", "0.001")
    assert done.returncode == 1
    assert "no trial of study other was completed within 0.001 s; run it again" in done.stderr
    file.write_text(file.read_text().replace("train.dropout", "train.droput"))
    done = command(tmp_path / "nothing", "tune", "--config", str(file), "--trials", "0")
    assert (done.returncode, done.stderr.count("error: ")) == (2, 2)
    assert not (tmp_path / "nothing").exists()


def test_out_does_not_overwrite_a_file_of_the_user(searched: Searched, tmp_path: Path) -> None:
    """The settings file, another file, a folder that is not there: refused before anything runs."""
    home, file, _, _ = searched
    notes = tmp_path / "notes.toml"
    notes.write_text("mine")
    for out, message in ((file, "the settings file itself"), (notes, "a file that tune did not write")):
        done = command(home, "tune", "--config", str(file), "--out", str(out))
        assert (done.returncode, message in done.stderr) == (2, True)
    assert "there is no folder" in command(home, "tune", "--config", str(file), "--out", "nowhere/x.toml").stderr


def wait_until(true: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
