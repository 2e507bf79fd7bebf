"""POST /predict, as the tutorials have it.

    {"image": [[0, ... 28 numbers], ... 28 rows]}    or {"image": {"b64": "PNG or JPEG"}}, or the file itself
    ->  {"digit": 7, "class": "7", "probabilities": [...], "classes": [...], "version": "3"}

`digit` is there where the classes are the digits.
"""

from typing import Any

import msgspec

from components.data.splits import Images
from serving import pictures, pixels
from serving.bodies import Encoded, Predict, decoded
from serving.loaded_model import LoadedModel
from serving.messages import Refused, Request, Response, json_response
from serving.routes import Route
from serving.service import Service

DIGITS = [str(digit) for digit in range(10)]
EXPECTED = 'send {"image": ROWS} or {"image": {"b64": "..."}}, or a PNG or JPEG file as the body'
BODY = msgspec.json.Decoder(Predict)


async def predict(service: Service, request: Request) -> Response:
    model = service.model()
    images = await _image(service, request, model)
    probabilities = (await service.classify(request, images, model))[0].tolist()
    best = probabilities.index(max(probabilities))
    answer: dict[str, Any] = {"digit": best} if model.classes == DIGITS else {}
    answer |= {"class": model.classes[best], "probabilities": probabilities}
    answer |= {"classes": model.classes, "version": model.version}
    return json_response(answer, model.headers)


async def _image(service: Service, request: Request, model: LoadedModel) -> Images:
    if request.body.startswith(b"{"):
        return await _from_json(service, request, model)
    if request.content_type.startswith(b"multipart/"):
        raise Refused(415, f"a form is not read here; {EXPECTED}: curl --data-binary @FILE")
    if pictures.is_picture(request.body) or request.content_type.startswith(b"image/"):
        return await pictures.decoded(service, [request.body], model)
    return await _from_json(service, request, model)


async def _from_json(service: Service, request: Request, model: LoadedModel) -> Images:
    image = decoded(BODY, request.body).image
    if isinstance(image, Encoded):
        return await pictures.decoded(service, [pictures.of_base64(image.b64)], model)
    return pixels.of_rows([image], model.shape)


ROUTES = (Route("/predict", "POST", "/predict", predict),)
