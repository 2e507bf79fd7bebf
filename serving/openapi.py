"""/openapi.json describes what is served, and the page /docs shows and tries it; it loads nothing from elsewhere."""

import base64
from pathlib import Path
from typing import Any

import numpy as np

from components.data.pictures.encoding import png
from components.system.content_policy import content_policy
from serving.loaded_model import LoadedModel
from serving.messages import HTML, SERVER_VERSION, Headers, Request, Response, json_response
from serving.routes import Route
from serving.service import Service

PAGE = Path(__file__).parent / "pages" / "docs.html"


def page(file: Path) -> tuple[bytes, Headers]:
    """The content of *file* and its headers."""
    text = file.read_text("utf-8")
    policy = content_policy(text).encode()
    return text.encode(), ((b"content-security-policy", policy), (b"referrer-policy", b"no-referrer"))


def description(model: LoadedModel | None) -> dict[str, Any]:
    """The OpenAPI document, with examples that fit *model*."""
    name = model.name if model else "NAME"
    image = _blank(model.shape if model else (28, 28, 1))
    tensor = {"name": "images", "shape": [1, *(model.shape if model else (28, 28, 1))], "datatype": "UINT8"}
    flat = [0] * (model.shape[0] * model.shape[1] * model.shape[2] if model else 784)
    what = f"Version {model.version} of {model.name} answers." if model else "There is no version to answer yet."
    return {
        "openapi": "3.1.0",
        "info": {"title": "The champion", "version": SERVER_VERSION, "description": what},
        "paths": {
            "/predict": _post("class and probabilities of a picture", {"image": image}, picture=True),
            f"/v1/models/{name}:predict": _post("TensorFlow Serving", {"instances": [image]}),
            f"/v1/models/{name}": _get("TensorFlow Serving: the state of the version"),
            f"/v1/models/{name}/metadata": _get("TensorFlow Serving: its signatures"),
            f"/v2/models/{name}/infer": _post("Open Inference Protocol v2", {"inputs": [tensor | {"data": flat}]}),
            f"/v2/models/{name}": _get("Open Inference Protocol v2: the tensors of the model"),
            "/v2/health/live": _get("whether the server lives"),
            "/v2/health/ready": _get("whether it can answer, and what is wrong"),
            "/invocations": _post("MLflow", {"inputs": [image]}),
            "/page/model": _get("the page: which version answers, its classes and accuracy"),
            "/page/answer": _picture("the page: the likeliest classes, and the picture as the model saw it"),
            "/page/why": _picture("the page: how much the answer hangs on each pixel, 0 to 255"),
            "/wrong": _post("the page: that is wrong, kept for the review of labels", _report(model)),
            "/metrics": _get("counts and times, for Prometheus", "text/plain"),
        },
    }


def _blank(shape: tuple[int, int, int]) -> list[Any]:
    height, width, channels = shape
    return [[0 if channels == 1 else [0] * channels] * width] * height


def _report(model: LoadedModel | None) -> dict[str, str]:
    """A picture with one bright column, and its class."""
    height, width, channels = model.shape if model else (28, 28, 1)
    pixels = np.zeros((height, width, channels), np.uint8)
    pixels[height // 8 : height - height // 8, width // 2] = 255
    return {"picture": base64.b64encode(png(pixels)).decode(), "label": model.classes[0] if model else "CLASS"}


def _picture(summary: str) -> dict[str, Any]:
    content = {kind: {"schema": {"contentMediaType": kind}} for kind in ("image/png", "image/jpeg")}
    return {"post": _get(summary)["get"] | {"requestBody": {"required": True, "content": content}}}


def _post(summary: str, example: object, *, picture: bool = False) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": {"type": "object"}, "example": example}}
    if picture:
        content |= {kind: {"schema": {"contentMediaType": kind}} for kind in ("image/png", "image/jpeg")}
    return {"post": _get(summary)["get"] | {"requestBody": {"required": True, "content": content}}}


def _get(summary: str, kind: str = "application/json") -> dict[str, Any]:
    error = {"application/json": {"schema": {"type": "object", "properties": {"error": {"type": "string"}}}}}
    responses = {
        "200": {"description": "the answer", "content": {kind: {}}},
        "4XX": {"description": "what is wrong with the request, in a sentence", "content": error},
    }
    return {"get": {"summary": summary, "responses": responses}}


async def openapi(service: Service, request: Request) -> Response:
    return json_response(description(service.champion.model))


async def docs(service: Service, request: Request) -> Response:
    content, headers = page(PAGE)
    return Response(content, content_type=HTML, headers=headers)


ROUTES = (
    Route("/openapi.json", "GET", "/openapi.json", openapi),
    Route("/docs", "GET", "/docs", docs, open=True),
)
