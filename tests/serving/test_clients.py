"""The clients of others, as they come from PyPI: tritonclient, and KServe's for both of its protocols."""

import json
import subprocess
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.support import client_environment
from tests.support.served_versions import NAME, expected
from tests.support.serving_process import ServingProcess

TRITON = [f"uint8 {given} {asked}" for given in (False, True) for asked in (False, True, None)]
TRITON += ["fp32", "int64", "grey", "gzip", "deflate", "pictures"]


@pytest.fixture(scope="module")
def answers(server: ServingProcess) -> dict[str, Any]:
    """What the clients understood."""
    script = ROOT / "tests/serving/clients/exercise.py"
    command = [str(client_environment.python()), str(script), f"127.0.0.1:{server.port}", NAME]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return document


def expect_right(answers: dict[str, Any], values: Any) -> None:
    images = np.array(answers["images"], np.uint8)
    np.testing.assert_allclose(np.array(values), expected(images, 1), atol=1e-5)


@pytest.mark.parametrize("way", TRITON)
def test_tritonclient_infers(answers: dict[str, Any], way: str) -> None:
    """In JSON and in binary, compressed, with other datatypes, and with files as BYTES; the id comes back."""
    answer = answers["triton"][way]
    assert answer["id"] == "7"
    expect_right(answers, answer["values"])


def test_tritonclient_finds_the_model(answers: dict[str, Any]) -> None:
    """Live, ready, with its tensors and version."""
    triton = answers["triton"]
    assert [triton[name] for name in ("live", "ready", "model_ready", "version_ready")] == [True] * 4
    assert "binary_tensor_data" in triton["server"]["extensions"]
    assert triton["metadata"] == {
        "name": NAME,
        "versions": ["1"],
        "platform": "tensorflow_tflite",
        "inputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, 28, 28, 1]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}],
    }


def test_tritonclient_gets_classes(answers: dict[str, Any]) -> None:
    """Triton's extension: the two best as probability:index:class."""
    order = np.argsort(-expected(np.array(answers["images"], np.uint8), 1), axis=1)[:, :2]
    found = [[text.split(":")[1:] for text in row] for row in answers["triton"]["classification"]]
    assert found == [[[str(index), str(index)] for index in row] for row in order.tolist()]


def test_tritonclient_raises_what_went_wrong(answers: dict[str, Any]) -> None:
    """An unknown model in the words of Triton; fractions and another size in a sentence."""
    unknown, fractions, size = answers["triton"]["errors"]
    assert unknown == ["404", "Request for unknown model: 'nobody' is not found"]
    assert fractions[0] == "400"
    assert "the pixels are fractions" in fractions[1]
    assert size == ["400", "an image is 28 rows of 28 numbers; the request has 20 x 28 x 1"]


@pytest.mark.parametrize("way", ["v2 False", "v2 True", "v1", "v1 pictures"])
def test_kserve_infers(answers: dict[str, Any], way: str) -> None:
    """By both protocols, in JSON, in binary, and with files."""
    expect_right(answers, answers["kserve"][way]["values"])


def test_kserve_finds_the_model(answers: dict[str, Any]) -> None:
    """Live and ready, and answered with the id that was sent."""
    kserve = answers["kserve"]
    assert [kserve[name] for name in ("live", "ready", "model_ready")] == [True] * 3
    assert kserve["v2 True"]["id"] == "9"
