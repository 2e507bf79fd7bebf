"""From images to a champion that answers through MLflow's own client, by the one command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.settings.sections import Train
from tests.conftest import CLEAN, QUICK, command

PREDICT = """
import json, sys, numpy as np, mlflow
name, images = sys.argv[1], np.load(sys.argv[2])
model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
print(json.dumps(np.asarray(model.predict(images[:200])).argmax(axis=1).tolist()))
"""


def champion_predictions(home: Path, name: str) -> tuple[list[int], list[int]]:
    """The champion's predictions for the first 200 test images, through mlflow.pyfunc alone, and the labels."""
    normalize = next((home / "artifacts" / "normalize").glob("[!.]*"))
    labels = normalize / "test" / "labels.npy"
    environment = {**CLEAN, "MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db", "MLFLOW_DISABLE_TELEMETRY": "true"}
    arguments = [sys.executable, "-c", PREDICT, name, str(normalize / "test" / "images-00000.npy")]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    import numpy as np

    return json.loads(done.stdout.splitlines()[-1]), np.load(labels)[:200].tolist()


def accuracy(predictions: list[int], labels: list[int]) -> float:
    return sum(a == b for a, b in zip(predictions, labels, strict=True)) / len(labels)


def test_digits_pass_the_gate_with_the_defaults_of_their_source(trained_digits: Path) -> None:
    """No network, the real gate of 98 %: half a point above it, promoted, exported, reported."""
    (run,) = json.loads(command(trained_digits, "runs", "--json").stdout)
    assert run["accuracy"] >= 0.985
    assert run["model"]["aliases"] == ["challenger", "champion"]
    export = next((trained_digits / "artifacts" / "export").glob("[!.]*"))
    assert {path.name for path in export.iterdir()} >= {
        "saved_model",
        "model.tflite",
        "model-int8.tflite",
        "parity.json",
    }
    assert "<html" in Path(run["report"]).read_text()


def test_the_champion_of_the_registry_predicts_from_raw_pixels(trained_digits: Path) -> None:
    """models:/digits-classifier@champion takes uint8 images as they are on disk."""
    assert accuracy(*champion_predictions(trained_digits, "digits-classifier")) >= 0.97


def test_one_mlflow_run_holds_the_whole_run(trained_digits: Path) -> None:
    """Settings, metrics of every epoch and of the test, the images, the model with its metrics, keys and digests,
    pictures, report, commit."""
    script = """
import json; from mlflow import MlflowClient
client = MlflowClient(); (experiment,) = [e for e in client.search_experiments() if e.name == "digits-classifier"]
(run,) = client.search_runs([experiment.experiment_id])
history = client.get_metric_history(run.info.run_id, "val_accuracy")
files = [f.path for f in client.list_artifacts(run.info.run_id)]
[dataset], [output] = run.inputs.dataset_inputs, run.outputs.model_outputs
data = json.loads(dataset.dataset.profile)
model = {metric.key: metric.value for metric in client.get_logged_model(output.model_id).metrics}
seconds = (run.info.end_time - run.info.start_time) / 1000
print(json.dumps([run.info.status, run.data.params, run.data.metrics, run.data.tags, len(history), files]))
print(json.dumps([data["images"], model, seconds]))
"""
    environment = {
        **CLEAN,
        "MLFLOW_TRACKING_URI": f"sqlite:///{trained_digits}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()[-2:]
    status, params, metrics, tags, epochs, files = json.loads(first)
    images, of_model, seconds = json.loads(second)
    assert status == "FINISHED"
    assert params["train.model"] == Train().model
    assert metrics["test_accuracy"] >= 0.985
    assert metrics["export/int8_bytes"] < metrics["export/tflite_bytes"]
    assert 0 < metrics["export/tflite_median_ms"] <= metrics["export/tflite_p99_ms"]
    assert epochs > 1
    assert images["test"] == 360
    assert of_model["test_accuracy"] == metrics["test_accuracy"]
    assert seconds > 3  # of the whole run, not of its logging
    assert tags["verdict"] == "promoted"
    assert {"workspace.train.key", "workspace.train.digest", "pipeline.run"} <= tags.keys()
    assert {"pictures", "report.html"} <= set(files)


def test_a_second_champion_takes_over_and_one_command_rolls_back(home: Path) -> None:
    """Another seed, another version; `rollback` restores the first, and no later run promotes the second again."""
    again = ("run", "--source", "digits", *[part for setting in QUICK for part in ("--set", setting)])
    again = (*again, "--set", "train.seed=1")
    done = command(home, *again)
    assert done.returncode == 0, done.stderr
    assert aliases(home) == {"1": [], "2": ["challenger", "champion"]}
    back = command(home, "rollback", "--reason", "customers complained")
    assert back.returncode == 0, back.stderr
    assert "the champion of digits-classifier is version 1 (it was version 2)" in back.stdout
    refused = command(home, *again)
    assert refused.returncode == 4
    assert "customers complained" in refused.stderr
    assert aliases(home) == {"1": ["champion"], "2": ["challenger"]}


def aliases(home: Path) -> dict[str, list[str]]:
    return {v["version"]: v["aliases"] for v in json.loads(command(home, "models", "--json").stdout)}


@pytest.mark.skipif("MNIST_DIR" not in os.environ, reason="real MNIST: set MNIST_DIR")
def test_real_mnist_passes_the_gate_after_one_epoch(tmp_path: Path) -> None:
    """All 70,000 images: at least 98 %, exported, and served by the registry as mnist-classifier."""
    # the fixture `trained_digits` has every corruption and every format
    quicker = ("train.epochs=1", "evaluate.corruption_images=0", "export.formats=int8")
    settings = [part for text in quicker for part in ("--set", text)]
    done = command(tmp_path, "run", "--json", "--source", "mnist", *settings, MNIST_DIR=os.environ["MNIST_DIR"])
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["accuracy"] >= 0.98
    assert answer["model"] == {"name": "mnist-classifier", "version": "1", "aliases": ["challenger", "champion"]}
    assert accuracy(*champion_predictions(tmp_path, "mnist-classifier")) >= 0.97
