"""The page at /: draw a digit or give a picture, and read what the champion sees in it, and why.

GET  /page/model     which version answers, its classes and accuracy
POST /page/answer    a PNG or JPEG file -> the likeliest classes, and the image as the model saw it
POST /page/why       the same file -> what the answer hangs on, 0..255 for each pixel
POST /wrong          {"picture": "base64", "label": "7", "version": "3", "answer": "9", "confidence": 0.7}
                     -> kept for the review of labels, with what the user saw: the last three, which may be left out
"""

import base64
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from components.data.pictures.decoding import Unusable
from components.data.pictures.encoding import png
from components.data.splits import Images
from components.inference import drawings
from components.inference.occlusion import occlusion
from serving import openapi, pictures
from serving.bodies import decoded
from serving.loaded_model import LoadedModel
from serving.messages import HTML, JSON, Refused, Request, Response, json_response
from serving.origins import Origins
from serving.routes import Route
from serving.service import Service
from serving.wrong_answers import WrongAnswers

PAGE = Path(__file__).parent / "pages" / "draw.html"
LIKELIEST = 10  # classes that are shown
FAINT = 0.02  # of a probability: a map that falls less is shown as it is, not stretched to full strength

VERSION = re.compile(r"[1-9][0-9]{0,18}")
ROUNDED = 1e-6  # of a probability


class Wrong(msgspec.Struct):
    """What a user says of a picture, and which version answered what with which probability."""

    picture: str
    label: str
    version: str = ""
    answer: str = ""
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


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

    def __init__(self, reports: WrongAnswers, origins: Origins) -> None:
        self._reports, self._origins = reports, origins

    async def wrong(self, service: Service, request: Request) -> Response:
        if request.content_type != JSON:
            raise Refused(415, "send the report as application/json")
        self._origins.expect_own_page(request.headers)
        model, body = service.model(), decoded(WRONG, request.body)
        if body.label not in model.classes:
            raise Refused(400, f"the label is none of the {len(model.classes)} classes; see /page/model")
        image = await _image(service, pictures.of_base64(body.picture), model)
        row = (await service.aside(model.probabilities, image[None]))[0]
        entry = {"model": model.name, "label": body.label, **_seen(body, model, row)}
        await service.aside(self._reports.add, entry, image)
        return json_response({"stored": True}, model.headers)


def _seen(body: Wrong, model: LoadedModel, row: NDArray[np.float32]) -> dict[str, Any]:
    """The version, answer and confidence that the user saw; those of the version in use where the report has none.

    Raises Refused for what no version can have answered, or the version in use has not.
    """
    best = int(row.argmax())
    now = {"version": model.version, "answer": model.classes[best], "confidence": float(row[best])}
    if not body.version and not body.answer:
        return now
    if not VERSION.fullmatch(body.version):
        raise Refused(400, "the version is no number of a version; see /page/model")
    if body.answer not in model.classes:
        raise Refused(400, f"the answer is none of the {len(model.classes)} classes; see /page/model")
    if body.confidence is not None and body.confidence < 1 / len(model.classes) - ROUNDED:
        raise Refused(400, f"the likeliest of {len(model.classes)} classes is likelier than {body.confidence:g}")
    if body.version != model.version:
        return {"version": body.version, "answer": body.answer, "confidence": body.confidence}
    if body.answer != now["answer"]:
        raise Refused(
            409, f"version {model.version} does not answer {body.answer[:100]} for this picture; ask it again"
        )
    return now


def routes(reports: WrongAnswers, origins: Origins) -> tuple[Route, ...]:
    return (
        Route("/", "GET", "/", page, open=True),
        Route("/page/model", "GET", "/page/model", about),
        Route("/page/answer", "POST", "/page/answer", answer),
        Route("/page/why", "POST", "/page/why", why),
        Route("/wrong", "POST", "/wrong", Reporting(reports, origins).wrong),
    )
