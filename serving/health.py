"""Whether the server lives and can answer, and what it counted."""

from serving.messages import Request, Response, json_response
from serving.routes import Route
from serving.service import Service


async def live(service: Service, request: Request) -> Response:
    return json_response({"live": True})


async def ready(service: Service, request: Request) -> Response:
    """200 where there is a version to answer with, even where the registry is away: the problem is said."""
    answer = {"ready": service.ready, "problem": service.champion.problem or None}
    return json_response(answer, status=200 if service.ready else 503)


async def metrics(service: Service, request: Request) -> Response:
    return Response(service.metrics.text(), content_type=b"text/plain; version=0.0.4; charset=utf-8")


ROUTES = (
    Route("live", "GET", "/v2/health/live", live, open=True),
    Route("ready", "GET", "/v2/health/ready", ready, open=True),
    Route("metrics", "GET", "/metrics", metrics),
)
