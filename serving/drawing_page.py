"""The page at /: draw a digit or give a picture, and read what the champion sees in it, and why.

GET  /page/model     which version answers, its classes and accuracy
POST /page/answer    a PNG or JPEG file -> the likeliest classes, and the image as the model saw it
POST /page/why       the same file -> what the answer hangs on, 0..255 for each pixel
POST /wrong          {"picture": "base64", "label": "7"} -> kept for the review of labels
"""

import base64
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from components.data.pictures.decoding import Unusable
from components.data.splits import Images
from components.inference import drawings
from components.inference.occlusion import occlusion
from serving import openapi, pictures
from serving.bodies import decoded
from serving.loaded_model import LoadedModel
from serving.messages import HTML, JSON, Refused, Request, Response, json_response
from serving.routes import Route
from serving.service import Service
from serving.wrong_answers import WrongAnswers, png

PAGE = Path(__file__).parent / "pages" / "draw.html"
LIKELIEST = 10  # classes that are shown
FAINT = 0.02  # of a probability: a map that falls less is shown as it is, not stretched to full strength


class Wrong(msgspec.Struct):
    """What a person says of a picture."""

    picture: str
    label: str


WRONG = msgspec.json.Decoder(Wrong)


async def page(service: Service, request: Request) -> Response:
    content, headers = openapi.page(PAGE)
    return Response(content, content_type=HTML, headers=headers)


async def about(service: Service, request: Request) -> Response:
    model = service.model()
    shown = {name: model.info[name] for name in ("model", "version", "classes", "drawn", "accuracy", "n")}
    interval = [model.info["wilson_low"], model.info["wilson_high"]]
    return json_response({**shown, "interval": interval, "shape": model.shape}, model.headers)


async def answer(service: Service, request: Request) -> Response:
    model = service.model()
    image = await _image(service, request.body, model)
    row = (await service.classify(request, image[None], model))[0]
    likeliest = [[model.classes[k], float(row[k])] for k in row.argsort()[::-1][:LIKELIEST].tolist()]
    seen = base64.b64encode(png(image)).decode()
    return json_response({"likeliest": likeliest, "seen": seen, "version": model.version}, model.headers)


async def why(service: Service, request: Request) -> Response:
    model = service.model()
    image = await _image(service, request.body, model)
    falls = await service.aside(occlusion, image, model.probabilities)
    return json_response({"map": _shades(falls).tolist(), "version": model.version}, model.headers)


def _shades(falls: NDArray[np.float32]) -> NDArray[np.uint8]:
    """*falls* of the probability as 0..255, the largest as the strongest."""
    strongest = max(float(falls.max()), FAINT)
    shades: NDArray[np.uint8] = np.clip(falls / strongest * 255, 0, 255).astype(np.uint8)
    return shades


async def _image(service: Service, data: bytes, model: LoadedModel) -> Images:
    """The picture as the model takes it; raises Refused for what is none, or where nothing is drawn."""
    return await service.aside(_prepared, data, model)


def _prepared(data: bytes, model: LoadedModel) -> Images:
    form = model.info["drawn"]
    if not form:
        image: Images = pictures.decode([data], model)[0]
        return image
    pictures.expect_small(data)
    try:
        return drawings.read(data, model.shape[0], form)
    except Unusable as unusable:
        raise Refused(422, str(unusable)) from None


class Reporting:
    """POST /wrong, which the page of this server alone may send."""

    def __init__(self, reports: WrongAnswers) -> None:
        self._reports = reports

    async def wrong(self, service: Service, request: Request) -> Response:
        _expect_own_page(request)
        model, body = service.model(), decoded(WRONG, request.body)
        if body.label not in model.classes:
            raise Refused(400, f"the label is none of the {len(model.classes)} classes; see /page/model")
        image = await _image(service, pictures.of_base64(body.picture), model)
        row = (await service.aside(model.probabilities, image[None]))[0]
        best = int(row.argmax())
        entry: dict[str, Any] = {"model": model.name, "version": model.version, "label": body.label}
        entry |= {"answer": model.classes[best], "confidence": float(row[best])}
        await service.aside(self._reports.add, entry, image)
        return json_response({"stored": True}, model.headers)


def _expect_own_page(request: Request) -> None:
    """Raise Refused where the page of another site makes the browser send the request."""
    if request.content_type != JSON:
        raise Refused(415, "send the report as application/json")
    origin = request.headers.get(b"origin", b"")
    foreign = origin and origin.partition(b"://")[2] != request.headers.get(b"host")
    if foreign or request.headers.get(b"sec-fetch-site", b"same-origin") not in (b"same-origin", b"none"):
        raise Refused(403, "reports are taken from the page of this server alone")


def routes(reports: WrongAnswers) -> tuple[Route, ...]:
    return (
        Route("/", "GET", "/", page, open=True),
        Route("/page/model", "GET", "/page/model", about),
        Route("/page/answer", "POST", "/page/answer", answer),
        Route("/page/why", "POST", "/page/why", why),
        Route("/wrong", "POST", "/wrong", Reporting(reports).wrong),
    )
