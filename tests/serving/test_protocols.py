"""The dialects of clients, request by request; their own programs are in test_clients.py."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.data.splits import Images
from tests.support.served_versions import NAME, expected
from tests.support.serving_process import ServingProcess

GOLDEN = Path(__file__).parent / "golden" / "signature_def.json"
IMAGES = np.random.default_rng(2).integers(0, 256, (2, 28, 28, 1), np.uint8)
PREDICT, INFER = f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/infer"


def file_of(image: Images, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[..., 0]).save(file, kind)
    return file.getvalue()


UNKNOWN_SIGNATURE = 'Serving signature name: "x" not found in signature def'
ONE_OF_TWO = "JSON Value: expected one of 'instances' and 'inputs'"
TOO_MANY = "the request has 1025 images; send at most 1024 at once"
FILES = [base64.b64encode(file_of(image)).decode() for image in IMAGES]
ROWS, WITH_CHANNELS = IMAGES[..., 0].tolist(), IMAGES.tolist()


def expect_right(values: Any, images: Images = IMAGES) -> None:
    np.testing.assert_allclose(np.array(values), expected(images, 1), atol=1e-5)


@pytest.mark.parametrize(
    "image", [ROWS[0], WITH_CHANNELS[0], {"b64": FILES[0]}], ids=["rows", "with channels", "a file in base64"]
)
def test_predict_takes_the_image_of_the_tutorials(server: ServingProcess, image: Any) -> None:
    """Digit, class and probabilities, with the version that answered."""
    answer = server.post("/predict", {"image": image})
    probabilities = expected(IMAGES[:1], 1)[0]
    best = int(probabilities.argmax())
    found = answer.json
    expect_right([found.pop("probabilities")], IMAGES[:1])
    classes = [str(digit) for digit in range(10)]
    assert found == {"digit": best, "class": str(best), "classes": classes, "version": "1"}
    assert answer.version == "1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers


@pytest.mark.parametrize("content_type", ["image/png", "application/x-www-form-urlencoded", "application/octet-stream"])
def test_predict_takes_the_file_itself(server: ServingProcess, content_type: str) -> None:
    """Whatever the client calls it, as curl --data-binary does."""
    answer = server.ask("POST", "/predict", file_of(IMAGES[0]), content_type=content_type)
    expect_right([answer.json["probabilities"]], IMAGES[:1])


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"image": (IMAGES[0, ..., 0] / 255).tolist()}, 400, "the pixels are fractions; send whole numbers"),
        ({"image": [[300] * 28] * 28}, 400, "a pixel is 300; expected numbers from 0 to 255"),
        ({"image": [[-1] * 28] * 28}, 400, "a pixel is -1; expected numbers from 0 to 255"),
        ({"image": ROWS[0][:20]}, 400, "an image is 28 rows of 28 numbers; the request has 20 x 28"),
        ({"image": [*ROWS[0][:27], [1, 2]]}, 400, "the rows of an image differ in length"),
        ({"image": [[True] * 28] * 28}, 400, "Expected `int | float | array`, got `bool` - at `$.image[0][0]`"),
        ({"image": {"b64": "nono"}}, 400, "this is no PNG or JPEG picture"),
        ({"image": {"b64": "§"}}, 400, "the picture is not base64"),
        ({}, 400, "missing required field `image`"),
        ([], 400, "Expected `object`, got `array`"),
    ],
)
def test_predict_says_what_is_wrong(server: ServingProcess, body: Any, status: int, words: str) -> None:
    """In a sentence; a fraction is never cast to black."""
    answer = server.post("/predict", body)
    assert (answer.status, words in answer.json["error"]) == (status, True), answer.body


def test_a_form_is_refused_with_what_to_type(server: ServingProcess) -> None:
    """curl -F: multipart is not read."""
    answer = server.ask("POST", "/predict", b"--x--", content_type="multipart/form-data; boundary=x")
    assert answer.status == 415
    assert answer.json["error"].endswith("curl --data-binary @FILE")


@pytest.mark.parametrize(
    "path", [PREDICT, f"/V1/Models/{NAME}/versions/1:Predict", f"/v1/models/{NAME}/labels/champion:predict"]
)
@pytest.mark.parametrize(
    "values",
    [ROWS, WITH_CHANNELS, [{"b64": file} for file in FILES], [{"images": rows} for rows in ROWS],
     [{"images": {"b64": file}} for file in FILES]],
    ids=["rows", "with channels", "files", "named", "named files"],
)  # fmt: skip
def test_tf_serving_answers_rows(server: ServingProcess, path: str, values: Any) -> None:
    """`instances` in every form; the path in any case, by version and by label."""
    answer = server.post(path, {"signature_name": "serving_default", "instances": values})
    assert answer.status == 200, answer.body
    assert answer.json.keys() == {"predictions"}
    expect_right(answer.json["predictions"])


@pytest.mark.parametrize(
    "values",
    [ROWS, {"images": WITH_CHANNELS}, {"images": [{"b64": file} for file in FILES]}],
    ids=["plain", "named", "files"],
)
def test_tf_serving_answers_a_column(server: ServingProcess, values: Any) -> None:
    """`inputs` gives `outputs`."""
    answer = server.post(PREDICT, {"inputs": values})
    assert answer.status == 200, answer.body
    assert answer.json.keys() == {"outputs"}
    expect_right(answer.json["outputs"])


def test_tf_serving_describes_the_model(server: ServingProcess) -> None:
    """The state of the version, and the signature as protobuf writes that of our own SavedModel (golden file)."""
    status = server.get(f"/v1/models/{NAME}")
    state = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert status.json == {"model_version_status": [state]}
    assert server.get(f"/v1/models/{NAME}/versions/1").json == status.json
    metadata = server.get(f"/v1/models/{NAME}/metadata").json
    assert metadata["model_spec"] == {"name": NAME, "signature_name": "", "version": "1"}
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"] == json.loads(GOLDEN.read_text())
    assert signatures["serving_float"]["inputs"]["images"]["dtype"] == "DT_FLOAT"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/v1/models/half", None, 404, "Servable not found for request: Latest(half)"),
        ("GET", f"/v1/models/{NAME}/versions/99", None, 404, f"Servable not found for request: Specific({NAME}, 99)"),
        ("GET", f"/v1/models/{NAME}/labels/old", None, 404, f"Servable not found for request: Latest({NAME})"),
        ("GET", "/v1/x", None, 400, "Malformed request: GET /v1/x"),
        ("POST", f"/v1/models/{NAME}:classify", {}, 400, f"Malformed request: POST /v1/models/{NAME}:classify"),
        ("POST", PREDICT, {"signature_name": "x", "instances": ROWS}, 400, UNKNOWN_SIGNATURE),
        ("POST", PREDICT, {}, 400, ONE_OF_TWO),
        ("POST", PREDICT, {"instances": ROWS, "inputs": ROWS}, 400, ONE_OF_TWO),
        ("POST", PREDICT, {"instances": []}, 400, "the request has no image"),
        ("POST", PREDICT, {"instances": [[[0] * 28] * 28] * 1025}, 413, TOO_MANY),
    ],
)  # fmt: skip
def test_tf_serving_says_what_is_wrong(
    server: ServingProcess, method: str, path: str, body: Any, status: int, words: str
) -> None:
    """In its own words, where it has some."""
    answer = server.ask(method, path, None if body is None else json.dumps(body))
    assert (answer.status, answer.json) == (status, {"error": words})


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "images", "shape": [2, 28, 28, 1], "datatype": "UINT8", "data": IMAGES.ravel().tolist()} | changes


@pytest.mark.parametrize(
    "given",
    [
        tensor(),
        tensor(data=WITH_CHANNELS),
        tensor(datatype="FP32", data=IMAGES.ravel().astype(float).tolist()),
        tensor(shape=[2, 28, 28]),
        tensor(shape=[2], datatype="BYTES", data=FILES),
        tensor(parameters={"content_type": "np"}),
    ],
    ids=["flat", "nested", "FP32", "grey", "BYTES", "unknown parameters"],
)
def test_open_inference_answers_json(server: ServingProcess, given: Any) -> None:
    """Numbers flat, with the id that was sent."""
    answer = server.post(INFER, {"id": "42", "inputs": [given], "outputs": [{"name": "probabilities"}]})
    assert answer.status == 200, answer.body
    [output] = answer.json["outputs"]
    rest = {name: value for name, value in answer.json.items() if name != "outputs"}
    assert rest == {"model_name": NAME, "model_version": "1", "id": "42"}
    assert {name: output[name] for name in ("name", "datatype", "shape")} == {
        "name": "probabilities", "datatype": "FP32", "shape": [2, 10],
    }  # fmt: skip
    expect_right(np.array(output["data"]).reshape(2, 10))


def test_open_inference_answers_in_binary(server: ServingProcess) -> None:
    """After the JSON, whose length stands in a header; without an id there is none."""
    request = {
        "inputs": [tensor(parameters={"binary_data_size": IMAGES.size})],
        "parameters": {"binary_data_output": True},
    }
    del request["inputs"][0]["data"]  # type: ignore[index]
    head = json.dumps(request).encode()
    answer = server.ask("POST", INFER, head + IMAGES.tobytes(), inference_header_content_length=str(len(head)))
    assert answer.status == 200, answer.body
    length = int(answer.headers["inference-header-content-length"])
    document = json.loads(answer.body[:length])
    assert "id" not in document
    assert document["outputs"][0]["parameters"] == {"binary_data_size": 80}
    assert answer.headers["content-type"] == "application/octet-stream"
    expect_right(np.frombuffer(answer.body[length:], "<f4").reshape(2, 10))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "x"}, "the request has the inputs: x; expected one, images"),
        ({"datatype": "COMPLEX"}, "the datatype of images is COMPLEX; expected BOOL, UINT8,"),
        ({"shape": [3, 28, 28, 1]}, "images has 1568 numbers; the shape [3, 28, 28, 1] does not fit"),
        ({"shape": [-2, 28, 28, 1]}, "the shape of images is not [images, height, width, channels]"),
        ({"parameters": {"binary_data_size": 5}}, "a binary_data_size of 5, and 0 bytes follow"),
        ({"shape": [1], "datatype": "BYTES", "data": ["AAAA"]}, "this is no PNG or JPEG picture"),
        ({"data": [0.5] * 1568}, "the pixels are fractions"),
    ],
)
def test_open_inference_says_what_is_wrong(server: ServingProcess, changes: Any, words: str) -> None:
    """In a sentence with the name and the value."""
    answer = server.post(INFER, {"inputs": [tensor(**changes)]})
    assert answer.status == 400
    assert words in answer.json["error"]


def test_open_inference_describes_the_server(server: ServingProcess) -> None:
    """Name and extensions; parts that are not served say so."""
    assert server.get("/v2").json["extensions"] == ["binary_tensor_data", "classification"]
    assert server.get(f"/v2/models/{NAME}/ready").json == {"name": NAME, "ready": True}
    assert server.get(f"/v2/models/{NAME}/stats").status == 501
    assert server.get(f"/v2/models/{NAME}/versions/9").json == {
        "error": f"Request for unknown model: '{NAME}' version 9 is not found"
    }


@pytest.mark.parametrize("form", ["inputs", "instances"])
def test_mlflow_invocations(server: ServingProcess, form: str) -> None:
    """A row of probabilities for each image."""
    expect_right(server.post("/invocations", {form: ROWS}).json["predictions"])


def test_mlflow_is_healthy(server: ServingProcess) -> None:
    """A line feed, as MLflow's own server answers."""
    for path in ("/ping", "/health"):
        assert (server.get(path).status, server.get(path).body) == (200, b"\n")
    assert server.get("/version").status == 200
    assert "tables are not images" in server.post("/invocations", {"dataframe_split": {}}).json["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [("GET", "/predict", 405, "POST"), ("DELETE", "/metrics", 405, "GET"), ("GET", "/nowhere", 404, "")],
)
def test_a_wrong_path_or_method_is_told(
    server: ServingProcess, method: str, path: str, status: int, allowed: str
) -> None:
    """With the methods that are allowed."""
    answer = server.ask(method, path)
    assert (answer.status, answer.headers.get("allow", "")) == (status, allowed)


def test_head_has_the_headers_of_get(server: ServingProcess) -> None:
    """And no body."""
    answer = server.ask("HEAD", f"/v2/models/{NAME}")
    assert (answer.status, answer.body, answer.version) == (200, b"", "1")
