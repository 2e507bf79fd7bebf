"""The ASGI application: which route, whether it may be asked, its answer, and what is counted of it."""

import hmac
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from components.progress import say
from serving.limits import IN_FLIGHT, Disconnected, Receive, Scope, read_body
from serving.messages import Headers, Refused, Request, Response, refusal
from serving.origins import PREFLIGHT, Origins
from serving.routes import Route, Routes
from serving.service import Service

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

UNKNOWN = "other"  # the route of a path that has none
ALWAYS: Headers = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
ASKS = ("GET", "HEAD")


class Application:
    """Plain ASGI, https://asgi.readthedocs.io/en/latest/specs/www.html; the lifespan is the server's own."""

    def __init__(self, service: Service, routes: Routes, token: str = "", origins: Origins | None = None) -> None:
        self._service, self._routes = service, routes
        self._authorization = f"Bearer {token}".encode() if token else b""
        self._origins = origins or Origins([])
        self._in_flight = 0
        service.metrics.in_flight.set_function(lambda: self._in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        start = time.perf_counter()
        routes, groups = self._routes.at(scope["path"])
        try:
            response = await self._answer(scope, receive, routes, groups)
        except Refused as refused:
            response = refusal(refused)
        except Disconnected:
            return
        except Exception:
            say(traceback.format_exc())
            response = refusal(Refused(500, "internal error; the server's log has it"))
        self._service.metrics.answered(
            routes[0].name if routes else UNKNOWN, response.status, time.perf_counter() - start
        )
        if self._origins:
            response.headers += self._origins.headers(dict(scope["headers"]).get(b"origin"))
        await _send(send, response)

    async def _answer(
        self, scope: Scope, receive: Receive, routes: list[Route], groups: tuple[str | None, ...]
    ) -> Response:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if self._origins and scope["method"] == "OPTIONS":
            return Response(b"", 204, headers=PREFLIGHT)
        route = self._route(scope, routes, headers)
        request = Request(scope["method"], scope["path"], headers, groups, route.name)
        if route.method != "POST":
            return await route.handler(self._service, request)
        request.body = await read_body(scope, headers, receive)
        # counted only now: requests that are half sent must not have an honest one refused
        if self._in_flight >= IN_FLIGHT:
            self._service.metrics.rejected("busy")
            raise Refused(503, f"{IN_FLIGHT} requests are being answered; try again", ((b"retry-after", b"1"),))
        self._in_flight += 1
        start = time.perf_counter()
        try:
            response = await route.handler(self._service, request)
        finally:
            self._in_flight -= 1
        if request.classified:
            self._service.metrics.stages(start, request.classified, time.perf_counter())
        return response

    def _is_authorized(self, headers: dict[bytes, bytes]) -> bool:
        sent = headers.get(b"authorization", b"")
        return not self._authorization or hmac.compare_digest(sent, self._authorization)

    def _route(self, scope: Scope, routes: list[Route], headers: dict[bytes, bytes]) -> Route:
        """The route of the request; raises Refused where there is none, or it needs a token that was not sent."""
        method = "GET" if scope["method"] in ASKS else scope["method"]
        route = next((route for route in routes if route.method == method), None)
        if not (route and route.open) and not self._is_authorized(headers):
            raise Refused(401, "send the token as Authorization: Bearer TOKEN", ((b"www-authenticate", b"Bearer"),))
        if route:
            return route
        if not routes:
            raise Refused(404, f"there is no {scope['path'][:200]} here; see /docs")
        allowed = ", ".join(sorted({route.method for route in routes}))
        raise Refused(405, f"{scope['path'][:200]} takes {allowed}", ((b"allow", allowed.encode()),))


async def _send(send: Send, response: Response) -> None:
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", b"%d" % len(response.body)),
        *ALWAYS,
        *response.headers,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
