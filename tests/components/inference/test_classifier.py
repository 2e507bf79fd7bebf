"""The exported file as a classifier: its answers, its threads, and files that are no model."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from components.data.splits import Images
from components.errors import ArtifactCorrupt
from components.inference.classifier import BATCH_SIZE, Classifier
from tests.support import published_model


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "model.tflite").write_bytes(published_model.tflite())
    return tmp_path / "model.tflite"


def pictures(count: int) -> Images:
    return np.random.default_rng(0).integers(0, 256, (count, 4, 4, 1)).astype(np.uint8)


@pytest.mark.parametrize("count", [0, 1, 2, BATCH_SIZE, 2 * BATCH_SIZE + 1])
def test_any_number_of_pictures_is_answered(file: Path, count: int) -> None:
    """A batch that is full, one that is not, and none at all."""
    probabilities = Classifier(file).probabilities(pictures(count))
    assert probabilities.shape == (count, 3)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, published_model.expected(pictures(count)), atol=1e-5)


def test_no_picture_is_no_batch(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteRT prepares a convolution for none with an error; a folder may hold nothing that can be read."""
    from ai_edge_litert.interpreter import Interpreter

    classifier = Classifier(file)
    monkeypatch.setattr(Interpreter, "invoke", None)
    assert classifier.probabilities(pictures(0)).shape == (0, 3)


def test_threads_ask_at_once(file: Path) -> None:
    """Each thread has an interpreter of its own: answers are never mixed."""
    classifier, images, start = Classifier(file), pictures(400), threading.Barrier(4)

    def ask(number: int) -> None:
        start.wait()
        for at in range(number, 400, 4):
            answer = classifier.probabilities(images[at : at + 1])
            np.testing.assert_allclose(answer, published_model.expected(images[at : at + 1]), atol=1e-5)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(ask, range(4)))


def test_the_file_may_go_once_it_is_loaded(file: Path) -> None:
    """A thread that asks later gets the model that was loaded, whatever became of its file."""
    classifier = Classifier(file)
    file.unlink()
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(classifier.probabilities, pictures(1)).result().shape == (1, 3)


@pytest.mark.parametrize("content", [b"", b"no model", b"\0" * 3000])
def test_a_file_that_is_no_model_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    """Whatever LiteRT raises for it."""
    (tmp_path / "model.tflite").write_bytes(content)
    with pytest.raises(ArtifactCorrupt, match=r"model\.tflite is not a model that LiteRT can run \(.+\); expected"):
        Classifier(tmp_path / "model.tflite")


def test_a_truncated_model_is_refused(file: Path) -> None:
    """Its header alone is right."""
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(ArtifactCorrupt, match="LiteRT can run"):
        Classifier(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The sentence says which file, and how to have it again."""
    with pytest.raises(ArtifactCorrupt, match=r"gone\.tflite cannot be read \(No such file"):
        Classifier(tmp_path / "gone.tflite")


def test_tensorflow_is_not_loaded(file: Path) -> None:
    """What answers must start at once, and be small."""
    import subprocess

    program = (
        "import sys; from pathlib import Path; from components.inference.classifier import Classifier; "
        f"Classifier(Path({str(file)!r})); "
        "print(sorted({'tensorflow', 'keras', 'mlflow', 'pandas', 'scipy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert not done.stderr  # LiteRT would say with which library it computes
