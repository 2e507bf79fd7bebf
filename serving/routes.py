"""Which handler answers a path."""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from serving.messages import Request, Response
from serving.service import Service

Handler = Callable[[Service, Request], Awaitable[Response]]


@dataclass(frozen=True)
class Route:
    """*name* stands for the route in metrics; *pattern* matches its paths, of which a plain one is a pattern too.

    A route that is *open* needs no token: whoever asks for the health of the server has none.
    """

    name: str
    method: str
    pattern: str
    handler: Handler
    open: bool = False


class Routes:
    """Plain paths are looked up; the others are matched by one expression after the other."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._plain: dict[str, list[Route]] = {}
        self._patterns: dict[re.Pattern[str], list[Route]] = {}
        for route in routes:
            if re.fullmatch(r"[\w/.-]+", route.pattern):
                self._plain.setdefault(route.pattern, []).append(route)
            else:
                self._patterns.setdefault(re.compile(route.pattern, re.IGNORECASE), []).append(route)

    def at(self, path: str) -> tuple[list[Route], tuple[str | None, ...]]:
        """The routes of *path*, one for each method, and the groups of their pattern."""
        if found := self._plain.get(path):
            return found, ()
        for pattern, routes in self._patterns.items():
            if match := pattern.fullmatch(path):
                return routes, match.groups()
        return [], ()
