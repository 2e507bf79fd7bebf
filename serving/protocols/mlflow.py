"""The four paths of MLflow's scoring server: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/

POST /invocations takes {"inputs": [...]} or {"instances": [...]} and answers {"predictions": [[...], ...]}, a row of
probabilities for each image.
"""

import msgspec

from serving.bodies import Instances, decoded
from serving.messages import SERVER_VERSION, TEXT, Refused, Request, Response, json_response
from serving.protocols.tf_serving import images, values
from serving.routes import Route
from serving.service import Service

BODY = msgspec.json.Decoder(Instances)


async def invocations(service: Service, request: Request) -> Response:
    model = service.model()
    asked = decoded(BODY, request.body)
    if (asked.instances is None) == (asked.inputs is None):
        raise Refused(400, 'expected {"inputs": IMAGES} or {"instances": IMAGES}; tables are not images')
    probabilities = await service.classify(request, await images(service, values(asked), model), model)
    return json_response({"predictions": probabilities.tolist()}, model.headers)


async def ping(service: Service, request: Request) -> Response:
    return Response(b"\n", 200 if service.ready else 503, b"application/json")


async def version(service: Service, request: Request) -> Response:
    return Response(SERVER_VERSION.encode(), content_type=TEXT)


ROUTES = (
    Route("/invocations", "POST", "/invocations", invocations),
    Route("/ping", "GET", "/ping", ping, open=True),
    Route("/health", "GET", "/health", ping, open=True),
    Route("/version", "GET", "/version", version, open=True),
)
