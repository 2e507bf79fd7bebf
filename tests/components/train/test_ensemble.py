"""Ensembles and distillation: several networks become one, and one learns from them."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.data.input_pipeline import InputPipeline
from components.data.splits import Split
from components.errors import ConfigError
from components.models.saving import read_model, write_model
from components.settings.sections import Train
from components.system.tensorflow import tensorflow
from components.train import checkpoint, distillation, losses
from components.train.ensemble import ensemble, mean_history, member_settings
from components.train.network import ImageProperties, untrained_network
from components.train.stage import train
from components.train.task import TeacherFile
from tests.support.small_training import SMALL, digests, folders, history, interrupted, run, write_normalized

DATA: ImageProperties = {"shape": [8, 8, 1], "classes": list("abcd"), "mean": [0.3], "std": [0.2]}
ENSEMBLE: dict[str, Any] = {"members": 2, "epochs": 2, "seed": 5}


@pytest.fixture(scope="module")
def normalized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_normalized(tmp_path_factory.mktemp("normalize"))


@pytest.fixture(scope="module")
def trained(normalized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    run(normalized, folder, **ENSEMBLE)
    return folder


def test_members_take_networks_in_turn_and_a_seed_each() -> None:
    """Three members of two networks; each has the settings of a training with one network."""
    settings = member_settings(Train(members=3, member_models="dense, cnn_bn", seed=5))
    assert [(one.model, one.seed, one.members) for one in settings] == [
        ("dense", 5, 1),
        ("cnn_bn", 6, 1),
        ("dense", 7, 1),
    ]
    with pytest.raises(ConfigError, match=r"names 2 networks, and train.members is 1; set train.members=2"):
        Train(member_models="dense,cnn_bn")
    with pytest.raises(ConfigError, match=r"train.member_models is 'dense,cnnbn'.*did you mean 'cnn_bn'"):
        Train(members=2, member_models="dense,cnnbn")


def test_the_ensemble_is_the_mean_of_its_members(tmp_path: Path) -> None:
    """One flat model of Keras' own layers, the same after saving; raw pixels in, the mean probabilities out."""
    models = [untrained_network(DATA, Train(model=name), "float32") for name in ("dense", "cnn_bn")]
    rng = np.random.default_rng(0)
    for model in models:
        model.set_weights([rng.uniform(0, 1, weight.shape) for weight in model.get_weights()])
    whole = ensemble(models)
    pixels = rng.integers(0, 256, (5, 8, 8, 1)).astype(np.uint8)
    mean = (models[0](pixels).numpy() + models[1](pixels).numpy()) / 2
    np.testing.assert_allclose(whole(pixels).numpy(), mean, atol=1e-7)
    assert not any(hasattr(layer, "layers") for layer in whole.layers)
    assert whole.layers[-1].name == "probabilities"


def test_the_artifact_describes_each_member(normalized: Path, trained: Path) -> None:
    """A history of each and their mean, the validation accuracy of each and that of the ensemble."""
    out = trained / "out"
    summary = json.loads((out / "summary.json").read_text())
    assert [(one["model"], one["seed"]) for one in summary["members"]] == [("dense", 5), ("dense", 6)]
    histories = []
    for k in (1, 2):
        with (out / "members" / f"{k}.csv").open() as file:
            histories.append([{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)])
    for row, mean in zip(history(trained), mean_history(histories), strict=True):
        assert row == pytest.approx(mean, rel=1e-5)

    held_out = Split(normalized / "validation")
    probabilities = read_model(out / "model.keras").predict(held_out.images(), verbose=0)
    accuracy = (probabilities.argmax(1) == held_out.labels).mean()
    assert accuracy == pytest.approx(summary["validation_accuracy"], abs=1e-6)


def test_a_mean_history_is_as_long_as_the_longest() -> None:
    """Where a member stopped early, the mean is that of the others."""
    assert mean_history([[{"loss": 3.0}, {"loss": 2.0}], [{"loss": 1.0}]]) == [{"loss": 2.0}, {"loss": 2.0}]


def test_a_killed_ensemble_trains_only_what_is_left(
    normalized: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the second member's second epoch: the first is not trained again, and the bytes are the same."""
    with monkeypatch.context() as patch:
        patch.setattr("components.train.checkpoint.save", interrupted(checkpoint.save, 3))
        with pytest.raises(KeyboardInterrupt):
            run(normalized, tmp_path, **ENSEMBLE)
    facts = run(normalized, tmp_path, **ENSEMBLE)
    assert facts["resumed_after_epoch"] == 3
    assert len(facts["epoch_seconds"]) == 1
    assert digests(tmp_path) == digests(trained)


def test_the_divergence_is_zero_for_the_teacher_itself_and_scaled_by_the_square_of_the_temperature() -> None:
    """T^2 KL(teacher_T || student_T), compared with NumPy; the loss is a weighted sum of it and that of the labels."""
    tensorflow()
    rng = np.random.default_rng(0)
    theirs, ours = (rng.normal(size=(6, 4)) for _ in range(2))

    def softmax(logits: Any) -> Any:
        shares = np.exp(logits)
        return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)

    teacher, student = softmax(theirs), softmax(ours)
    np.testing.assert_allclose(distillation.divergence(teacher, teacher, 3.0), 0, atol=1e-6)
    soft, mild = softmax(theirs / 3), softmax(ours / 3)
    expected = 9 * (soft * np.log(soft / mild)).sum(axis=1)
    np.testing.assert_allclose(distillation.divergence(teacher, student, 3.0), expected, rtol=1e-4)

    params = Train(teacher="1", distill_weight=0.3, temperature=3.0)
    truth = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0, 1]]
    hard = -np.log((truth * student).sum(axis=1))
    both = losses.loss(params)(np.stack([truth, teacher], axis=1), student)
    np.testing.assert_allclose(both, 0.3 * expected + 0.7 * hard, rtol=1e-4)
    np.testing.assert_allclose(losses.loss(params)(truth, student), hard, rtol=1e-4)


def test_a_student_learns_from_its_teacher_and_is_resumed_after_a_kill(
    normalized: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the labels it agrees with the ensemble; killed after an epoch and resumed, it has the same bytes."""
    params = Train(**(SMALL | {"teacher": "champion", "distill_weight": 1.0, "epochs": 3}))
    file = trained / "out" / "model.keras"

    def learn(folder: Path) -> None:
        train(normalized, *folders(folder), params, TeacherFile(file))

    learn(tmp_path / "undisturbed")
    with monkeypatch.context() as patch:
        patch.setattr("components.train.checkpoint.save", interrupted(checkpoint.save, 1))
        with pytest.raises(KeyboardInterrupt):
            learn(tmp_path / "killed")
    learn(tmp_path / "killed")
    assert digests(tmp_path / "killed") == digests(tmp_path / "undisturbed")
    images = Split(normalized / "test").images()
    student, teacher = (
        read_model(path).predict(images, verbose=0).argmax(1) for path in (tmp_path / "killed/out/model.keras", file)
    )
    assert (student == teacher).mean() > 0.8


def test_the_teacher_sees_the_augmented_images_and_is_not_used_in_validation(normalized: Path) -> None:
    """Labels are pairs in training, one-hot rows otherwise."""
    tf = tensorflow()
    params = Train(teacher="1", augment="shift=0.3", batch_size=16, epochs=1)
    pipeline = InputPipeline(
        Split(normalized / "train"), 4, params, lambda images: tf.cast(images[:, :4, 0, 0], tf.float32)
    )
    images, labels = next(iter(pipeline.training(0)))
    np.testing.assert_array_equal(labels.numpy()[:, 1], images.numpy()[:, :4, 0, 0])
    assert next(iter(pipeline.measuring()))[1].shape == (96, 4)


def teacher_file(trained: Path) -> TeacherFile:
    return TeacherFile(trained / "out" / "model.keras")


def test_a_teacher_for_other_images_is_rejected(trained: Path) -> None:
    """Before training, with the images that it takes and those that there are."""
    with pytest.raises(ConfigError, match=r"takes images of \(8, 8, 1\), expected \(28, 28, 1\)"):
        distillation.read_teacher(teacher_file(trained), (28, 28, 1), list("abcd"))


def test_a_teacher_answers_in_the_order_of_the_student_s_classes(trained: Path) -> None:
    """Its probabilities are taken by the names of its classes, not by their numbers."""
    images = np.random.default_rng(0).integers(0, 255, (5, 8, 8, 1), dtype=np.uint8)
    same, turned = (
        distillation.read_teacher(teacher_file(trained), (8, 8, 1), list(classes))(images).numpy()
        for classes in ("abcd", "dcba")
    )
    np.testing.assert_array_equal(turned, same[:, ::-1])


@pytest.mark.parametrize(
    ("classes", "why"),
    [
        ("abcx", r"the teacher does not know 'x' and knows 'd' too; choose another train\.teacher"),
        ("abcde", "the teacher does not know 'e'; choose another"),
        ("abc", "the teacher knows 'd' too; choose another"),
    ],
)
def test_a_teacher_of_other_classes_is_rejected(trained: Path, classes: str, why: str) -> None:
    """The sentence names the classes that it lacks or has too much, also where their number is the same."""
    with pytest.raises(ConfigError, match=why):
        distillation.read_teacher(teacher_file(trained), (8, 8, 1), list(classes))


def test_a_teacher_file_without_class_names_takes_them_from_its_version(trained: Path, tmp_path: Path) -> None:
    """Of an earlier version of the pipeline; where nothing tells them, it is rejected."""
    file = tmp_path / "old.keras"
    write_model(read_model(teacher_file(trained).path), file)
    images = np.zeros((1, 8, 8, 1), np.uint8)
    taught = distillation.read_teacher(TeacherFile(file, tuple("dcba")), (8, 8, 1), list("abcd"))(images).numpy()
    known = distillation.read_teacher(teacher_file(trained), (8, 8, 1), list("abcd"))(images).numpy()
    np.testing.assert_array_equal(taught, known[:, ::-1])
    with pytest.raises(ConfigError, match="the names of the teacher's 4 classes are unknown"):
        distillation.read_teacher(TeacherFile(file), (8, 8, 1), list("abcd"))
