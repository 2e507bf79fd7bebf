"""Runs in the environment of the clients: asks a server by its address, prints what each client understood as JSON.

No part of it imports the project, and the tests judge what it prints.
"""

import asyncio
import base64
import io
import json
import sys
from typing import Any

import numpy as np
import tritonclient.http as triton
from PIL import Image
from tritonclient.utils import InferenceServerException

HOST, NAME = sys.argv[1], sys.argv[2]
IMAGES = np.random.default_rng(1).integers(0, 256, (3, 28, 28, 1), np.uint8)


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[..., 0]).save(file, "PNG")
    return file.getvalue()


def with_triton() -> dict[str, Any]:
    client = triton.InferenceServerClient(HOST)
    answers: dict[str, Any] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(NAME),
        "version_ready": client.is_model_ready(NAME, "1"),
        "server": client.get_server_metadata(),
        "metadata": client.get_model_metadata(NAME),
    }

    def infer(values: np.ndarray, kind: str, in_binary: bool, out_binary: bool | None, **options: Any) -> Any:
        given = triton.InferInput("images", list(values.shape), kind)
        given.set_data_from_numpy(values, binary_data=in_binary)
        outputs = None if out_binary is None else [triton.InferRequestedOutput("probabilities", out_binary)]
        result = client.infer(NAME, [given], outputs=outputs, request_id="7", **options)
        return {"id": result.get_response()["id"], "values": result.as_numpy("probabilities").tolist()}

    for in_binary in (False, True):
        for out_binary in (False, True, None):
            answers[f"uint8 {in_binary} {out_binary}"] = infer(IMAGES, "UINT8", in_binary, out_binary)
    answers["fp32"] = infer(IMAGES.astype(np.float32), "FP32", True, True)
    answers["int64"] = infer(IMAGES.astype(np.int64), "INT64", True, True)
    answers["grey"] = infer(IMAGES[..., 0], "UINT8", True, True)
    for coding in ("gzip", "deflate"):
        answers[coding] = infer(
            IMAGES, "UINT8", True, True, request_compression_algorithm=coding, response_compression_algorithm=coding
        )
    files = np.array([png(image) for image in IMAGES], dtype=np.object_)
    answers["pictures"] = infer(files, "BYTES", True, True)
    given = triton.InferInput("images", list(IMAGES.shape), "UINT8")
    given.set_data_from_numpy(IMAGES)
    classified = client.infer(
        NAME, [given], outputs=[triton.InferRequestedOutput("probabilities", True, class_count=2)]
    )
    answers["classification"] = [[text.decode() for text in row] for row in classified.as_numpy("probabilities")]
    answers["errors"] = [
        _error(lambda: client.infer("nobody", [given])),
        _error(lambda: infer(IMAGES.astype(np.float32) / 255, "FP32", True, True)),
        _error(lambda: infer(IMAGES[:, :20], "UINT8", True, True)),
    ]
    return answers


def _error(call: Any) -> list[str]:
    try:
        call()
    except InferenceServerException as error:
        return [str(error.status()), error.message()]
    return ["none", ""]


async def with_kserve() -> dict[str, Any]:
    from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

    v1, v2 = (InferenceRESTClient(RESTConfig(protocol=protocol)) for protocol in ("v1", "v2"))
    url = f"http://{HOST}"

    def request(binary: bool) -> Any:
        given = InferInput("images", list(IMAGES.shape), "UINT8")
        given.set_data_from_numpy(IMAGES, binary_data=binary)
        return InferRequest(NAME, [given], request_id="9")

    answers: dict[str, Any] = {
        "live": await v2.is_server_live(url),
        "ready": await v2.is_server_ready(url),
        "model_ready": await v2.is_model_ready(url, NAME),
    }
    for binary in (False, True):
        answer = await v2.infer(url, request(binary), model_name=NAME)
        values = answer.outputs[0].as_numpy().reshape(len(IMAGES), -1)
        answers[f"v2 {binary}"] = {"id": answer.id, "version": answer.model_version, "values": values.tolist()}
    encoded = [{"b64": base64.b64encode(png(image)).decode()} for image in IMAGES]
    for name, body in (("v1", IMAGES.tolist()), ("v1 pictures", encoded)):
        answer = await v1.infer(url, {"instances": body}, model_name=NAME)
        answers[name] = {"values": answer["predictions"]}
    return answers


print(json.dumps({"triton": with_triton(), "kserve": asyncio.run(with_kserve()), "images": IMAGES.tolist()}))
