"""Guessing the password of a local Airflow: slowed down address by address, without harm to who knows it."""

import asyncio
import json
from typing import Any

import pytest

from pipeline.airflow.login_throttle import FORGOTTEN, FREE, LONGEST, LoginThrottle, Message, Receive, Send

GUESSER, OWNER = "10.0.0.1", "10.0.0.2"


class Server:
    """Airflow's login behind the throttle, at a time that the test sets."""

    def __init__(self) -> None:
        self.now, self.asked = 0.0, 0
        self.throttle = LoginThrottle(self._login, lambda: self.now)

    async def _login(self, scope: Message, receive: Receive, send: Send) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": {"right": 201, "wrong": 401}[scope["password"]]})

    async def _request(self, password: str, address: str, path: str, method: str) -> tuple[int, str]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "client": (address, 1)}
        await self.throttle(scope | {"password": password}, _nothing, send)
        return sent[0]["status"], json.loads(sent[1]["body"])["detail"] if len(sent) > 1 else ""

    def request(
        self, password: str, address: str = GUESSER, path: str = "/auth/token", method: str = "POST"
    ) -> tuple[int, str]:
        """Status and detail of the answer."""
        return asyncio.run(self._request(password, address, path, method))

    def at_once(self, password: str, count: int) -> list[int]:
        """The statuses of so many requests at the same moment."""

        async def all_of_them() -> list[tuple[int, str]]:
            return await asyncio.gather(
                *(self._request(password, GUESSER, "/auth/token", "POST") for _ in range(count))
            )

        return [status for status, _ in asyncio.run(all_of_them())]


async def _nothing() -> Message:
    return {}


@pytest.fixture
def server() -> Server:
    return Server()


def test_after_a_few_wrong_passwords_the_login_closes_for_ever_longer(server: Server) -> None:
    """1, 2, 4, ... seconds, a minute at most; what comes too early is refused without a look at the password."""
    assert [server.request("wrong")[0] for _ in range(FREE)] == [401] * FREE
    for seconds in (1, 2, 4, 8, 16, 32, LONGEST, LONGEST):
        assert server.request("wrong")[0] == 401
        asked = server.asked
        assert server.request("right") == (429, f"Too many wrong passwords; try again in {seconds:.0f} s")
        assert server.asked == asked
        server.now += seconds


def test_tries_at_the_same_moment_are_counted_too(server: Server) -> None:
    """A thousand connections guess no faster than one."""
    assert server.at_once("wrong", 1000).count(401) == FREE + 1


def test_who_knows_the_password_is_let_in(server: Server) -> None:
    """From another address at once, from the same one when its time is over; then all is forgotten."""
    for _ in range(FREE + 1):
        server.request("wrong")
    assert server.request("right", OWNER)[0] == 201
    server.now += 1
    assert server.request("right")[0] == 201
    assert [server.request("wrong")[0] for _ in range(FREE)] == [401] * FREE


def test_a_typing_error_a_day_closes_nothing(server: Server) -> None:
    """Wrong passwords are forgotten after a while, with their addresses."""
    for _ in range(3 * FREE):
        assert server.request("wrong")[0] == 401
        server.now += FORGOTTEN
    assert len(server.throttle._tries) == 1


@pytest.mark.parametrize(
    ("path", "method", "slowed"),
    [
        ("/auth/token/cli", "POST", True),
        ("/airflow/auth/token/", "POST", True),
        ("/auth/token", "GET", False),
        ("/api/v2/dags", "POST", False),
    ],
)
def test_only_the_login_is_slowed_down(server: Server, path: str, method: str, slowed: bool) -> None:
    """Both of its addresses, wherever Airflow is mounted; an API that answers 401 needs no password."""
    statuses = {server.request("wrong", path=path, method=method)[0] for _ in range(2 * FREE)}
    assert statuses == ({401, 429} if slowed else {401})
