"""Slow down the guessing of passwords: Airflow's simple login answers as many tries a second as it is sent.

After FREE wrong passwords from one address, each further one closes the login to that address, first for a second, then
for twice as long each time, at most for LONGEST. A right password, or FORGOTTEN seconds without a try, opens it again.
The API server keeps this in memory; Airflow's own choice would be another auth manager with accounts in a database.
"""

import json
import math
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

FREE = 5  # wrong passwords
LONGEST = 60.0  # seconds
FORGOTTEN = 900.0  # seconds
LOGINS = ("/auth/token", "/auth/token/cli")

Message = MutableMapping[str, Any]  # of ASGI, https://asgi.readthedocs.io/en/latest/specs/www.html
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass
class Tries:
    """Those of one address: how many failed, when the last one was, and from when on the next is let through."""

    failed: int = 0
    last: float = 0.0
    open_at: float = 0.0


class LoginThrottle:
    """ASGI middleware of Airflow's API server."""

    def __init__(self, app: App, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._clock = app, clock
        self._tries: dict[str, Tries] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if not _is_login(scope):
            await self._app(scope, receive, send)
        elif (seconds := self._closed(address := _address(scope))) > 0:
            await _refuse(send, math.ceil(seconds))
        else:
            await self._try(address, scope, receive, send)

    async def _try(self, address: str, scope: Message, receive: Receive, send: Send) -> None:
        self._count(address)  # as failed until it succeeds: tries at once are counted too

        async def seen(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                self._tries.pop(address, None)
            await send(message)

        await self._app(scope, receive, seen)

    def _closed(self, address: str) -> float:
        """The seconds until *address* may try again."""
        tries = self._tries.get(address)
        return tries.open_at - self._clock() if tries else 0.0

    def _count(self, address: str) -> None:
        now = self._clock()
        self._tries = {of: tries for of, tries in self._tries.items() if now - tries.last < FORGOTTEN}
        tries = self._tries.setdefault(address, Tries())
        tries.failed, tries.last = tries.failed + 1, now
        if tries.failed > FREE:
            tries.open_at = now + min(LONGEST, 2.0 ** (tries.failed - FREE - 1))


def _is_login(scope: Message) -> bool:
    return scope["type"] == "http" and scope["method"] == "POST" and str(scope["path"]).rstrip("/").endswith(LOGINS)


def _address(scope: Message) -> str:
    return str((scope.get("client") or ("",))[0])


async def _refuse(send: Send, seconds: int) -> None:
    body = json.dumps({"detail": f"Too many wrong passwords; try again in {seconds} s"}).encode()
    headers = [(b"content-type", b"application/json"), (b"retry-after", str(seconds).encode())]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body})
