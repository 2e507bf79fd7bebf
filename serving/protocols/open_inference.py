"""Open Inference Protocol v2, as Triton, KServe and MLServer speak it: https://github.com/kserve/open-inference-protocol

GET  /v2    /v2/models/NAME[/versions/V]    /v2/models/NAME[/versions/V]/ready
POST /v2/models/NAME[/versions/V]/infer     tensors in JSON, or after it in binary (Inference-Header-Content-Length)
"""

from typing import Any

import msgspec

from components.models.prediction import Probabilities
from serving.bodies import Infer, Output, Tensor, decoded
from serving.loaded_model import LoadedModel
from serving.messages import BINARY, SERVER_VERSION, Refused, Request, Response, encode, json_response
from serving.protocols import tensors
from serving.routes import Route
from serving.service import Service

EXTENSIONS = ["binary_tensor_data", "classification"]
SERVER = {"name": "retraining-pipeline", "version": SERVER_VERSION, "extensions": EXTENSIONS}
PLATFORM = "tensorflow_tflite"
HEADER_LENGTH = b"inference-header-content-length"
BODY = msgspec.json.Decoder(Infer)
MODEL = r"/v2/models/([^/]+)(?:/versions/([^/]+))?"


async def server(service: Service, request: Request) -> Response:
    return json_response(SERVER)


async def metadata(service: Service, request: Request) -> Response:
    model = _model(service, request)
    names = model.info["signature"]
    inputs = {"name": names["inputs"], "datatype": "UINT8", "shape": [-1, *model.shape]}
    outputs = {"name": names["outputs"], "datatype": "FP32", "shape": [-1, len(model.classes)]}
    document = {"name": model.name, "versions": [model.version], "platform": PLATFORM}
    return json_response(document | {"inputs": [inputs], "outputs": [outputs]}, model.headers)


async def ready(service: Service, request: Request) -> Response:
    model = _model(service, request)
    return json_response({"name": model.name, "ready": service.ready}, model.headers, 200 if service.ready else 503)


async def infer(service: Service, request: Request) -> Response:
    model = _model(service, request)
    length = _json_length(request)
    asked = decoded(BODY, memoryview(request.body)[:length])
    tensor = _input(asked, model)
    output = _output(asked, model)
    binary = memoryview(request.body)[length:]
    if tensor.datatype == tensors.BYTES:
        images = await service.aside(tensors.images, tensor, binary, model)
    else:
        images = tensors.images(tensor, binary, model)
    return _response(asked, output, await service.classify(request, images, model), model)


def _json_length(request: Request) -> int:
    """How many bytes of the body are its JSON."""
    length = request.headers.get(HEADER_LENGTH)
    if length is None:
        return len(request.body)
    if not length.isdigit() or len(length) > 10 or int(length) > len(request.body):
        raise Refused(400, "Inference-Header-Content-Length is no length within the body")
    return int(length)


def _input(asked: Infer, model: LoadedModel) -> Tensor:
    name = model.info["signature"]["inputs"]
    if [tensor.name for tensor in asked.inputs] != [name]:
        given = ", ".join(tensor.name[:50] for tensor in asked.inputs[:5]) or "none"
        raise Refused(400, f"the request has the inputs: {given}; expected one, {name}")
    return asked.inputs[0]


def _output(asked: Infer, model: LoadedModel) -> Output:
    """The output that is asked for: without a name, all there are, which is one."""
    name = model.info["signature"]["outputs"]
    for output in asked.outputs:
        if output.name != name:
            raise Refused(400, f"the model has no output {output.name[:50]}; expected {name}")
    return asked.outputs[0] if asked.outputs else Output(name)


def _response(asked: Infer, output: Output, probabilities: Probabilities, model: LoadedModel) -> Response:
    answer = tensors.answer(probabilities, model.classes, output.parameters.classification)
    tensor: dict[str, Any] = {"name": output.name, "datatype": answer.datatype, "shape": answer.shape}
    document: dict[str, Any] = {"model_name": model.name, "model_version": model.version, "outputs": [tensor]}
    if asked.id is not None:
        document["id"] = asked.id
    binary = output.parameters.binary_data
    if not (asked.parameters.binary_data_output if binary is None else binary):
        tensor["data"] = answer.values()
        return json_response(document, model.headers)
    content = answer.packed()
    tensor["parameters"] = {"binary_data_size": len(content)}
    head = encode(document)
    return Response(head + content, 200, BINARY, (*model.headers, (HEADER_LENGTH, b"%d" % len(head))))


def _model(service: Service, request: Request) -> LoadedModel:
    """The version in use; raises Refused where the path names another model or version."""
    model = service.model()
    name, version = request.groups
    if name == model.name and version in (None, model.version):
        return model
    which = f"'{name}'{f' version {version}' if version else ''}"
    raise Refused(404, f"Request for unknown model: {which} is not found")


async def unserved(service: Service, request: Request) -> Response:
    raise Refused(501, f"{request.path[:200]} is a part of the protocol that is not served here; see /docs")


ROUTES = (
    Route("/v2", "GET", "/v2", server),
    Route("/v2:metadata", "GET", MODEL, metadata),
    Route("/v2:ready", "GET", f"{MODEL}/ready", ready, open=True),
    Route("/v2:infer", "POST", f"{MODEL}/infer", infer),
    *(Route("/v2:unserved", method, f"{MODEL}/(?:stats|config|generate.*)", unserved) for method in ("GET", "POST")),
)
