"""TensorFlow Serving's REST API: https://www.tensorflow.org/tfx/serving/api_rest

    POST /v1/models/NAME[/versions/V|/labels/champion]:predict    {"instances": [...]} or {"inputs": [...]}
    GET  /v1/models/NAME[/versions/V|/labels/champion]            the state of the version
    GET  .../metadata                                             its signatures

Images are rows of numbers; one of grey may leave the channel out. A PNG or JPEG file is {"b64": "..."}.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from components.data.splits import Images
from serving import pictures, pixels
from serving.bodies import Batch, Encoded, Instances, Value, decoded
from serving.loaded_model import LoadedModel
from serving.messages import Refused, Request, Response, json_response
from serving.routes import Route
from serving.service import Service

SIGNATURES = {"serving_default": "DT_UINT8", "serving_float": "DT_FLOAT"}  # components/export/conversion/saved_model.py
METHOD = "tensorflow/serving/predict"
AVAILABLE = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
BODY = msgspec.json.Decoder(Instances)
MODEL = r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?"


async def predict(service: Service, request: Request) -> Response:
    model = _model(service, request)
    asked = decoded(BODY, request.body)
    if asked.signature_name not in ("", *SIGNATURES):
        raise Refused(400, f'Serving signature name: "{asked.signature_name}" not found in signature def')
    if (asked.instances is None) == (asked.inputs is None):
        raise Refused(400, "JSON Value: expected one of 'instances' and 'inputs'")
    in_rows = asked.inputs is None
    probabilities = await service.classify(request, await images(service, values(asked), model), model)
    return json_response({"predictions" if in_rows else "outputs": probabilities.tolist()}, model.headers)


def values(asked: Instances) -> Sequence[Any]:
    """One value for each image: rows of numbers, or Value."""
    values = asked.instances if asked.instances is not None else asked.inputs
    if isinstance(values, Value):
        values = values.images if isinstance(values.images, list) else [values]
    return values or []


async def images(service: Service, values: Sequence[Any], model: LoadedModel) -> Images:
    pixels.expect_batch(len(values))
    if not isinstance(values[0], Value):
        if any(isinstance(value, Value) for value in values):
            raise Refused(400, "the instances are of different kinds; send either numbers or files")
        return pixels.of_rows(values, model.shape)
    plain = [_plain(value) for value in values]
    texts = [value for value in plain if isinstance(value, str)]
    if len(texts) == len(plain):
        return await pictures.decoded(service, [pictures.of_base64(text) for text in texts], model)
    return pixels.of_rows(plain, model.shape)


def _plain(value: Any) -> Batch | str:
    """The rows of an instance, or its file in base64."""
    if isinstance(value, Value) and isinstance(value.images, Encoded):
        return value.images.b64
    if not isinstance(value, Value) or (value.b64 is None) == (value.images is None):
        raise Refused(400, 'an instance is not as expected; send rows of numbers, {"images": ROWS} or {"b64": "..."}')
    return value.b64 if value.b64 is not None else value.images  # type: ignore[return-value]


async def status(service: Service, request: Request) -> Response:
    model = _model(service, request)
    return json_response({"model_version_status": [{"version": model.version} | AVAILABLE]}, model.headers)


async def metadata(service: Service, request: Request) -> Response:
    """What protobuf writes of the SavedModel of the same export."""
    model = _model(service, request)
    signatures = {name: _signature(model, dtype) for name, dtype in SIGNATURES.items()}
    document = {
        "model_spec": {"name": model.name, "signature_name": "", "version": model.version},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }
    return json_response(document, model.headers)


def _signature(model: LoadedModel, dtype: str) -> dict[str, Any]:
    names = model.info["signature"]
    return {
        "inputs": {names["inputs"]: _tensor(f"{names['inputs']}:0", dtype, model.shape)},
        "outputs": {names["outputs"]: _tensor("Identity:0", "DT_FLOAT", (len(model.classes),))},
        "method_name": METHOD,
        "defaults": {},
    }


def _tensor(name: str, dtype: str, shape: tuple[int, ...]) -> dict[str, Any]:
    sizes = [{"size": str(size), "name": ""} for size in (-1, *shape)]
    return {"name": name, "dtype": dtype, "tensor_shape": {"dim": sizes, "unknown_rank": False}}


def _model(service: Service, request: Request) -> LoadedModel:
    """The version in use; raises Refused where the path names another model, version or label."""
    model = service.model()
    name, version, label = request.groups
    if name == model.name and version in (None, model.version) and label in (None, service.champion.alias):
        return model
    servable = f"Specific({name}, {version})" if version else f"Latest({name})"
    raise Refused(404, f"Servable not found for request: {servable}")


async def malformed(service: Service, request: Request) -> Response:
    raise Refused(400, f"Malformed request: {request.method} {request.path[:200]}")


ROUTES = (
    Route("/v1:predict", "POST", f"{MODEL}:predict", predict),
    Route("/v1:status", "GET", MODEL, status),
    Route("/v1:metadata", "GET", f"{MODEL}/metadata", metadata),
    *(Route("/v1", method, "/v1(?:/.*)?", malformed) for method in ("GET", "POST")),
)
