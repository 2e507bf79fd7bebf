"""The part of Airflow's REST interface that a local start and the tests use."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

Json = Any  # a parsed answer
Body = Mapping[str, object]
Health = dict[str, dict[str, str | None]]  # by part: its status and last heartbeat

SECONDS = 30
PAGE = 100  # entries: Airflow gives no more at once
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # without a proxy


class Api:
    """Airflow at *url*, as a signed-in user; each answer is parsed JSON and may take *seconds*."""

    def __init__(self, url: str, user: str, password: str, seconds: float = SECONDS) -> None:
        self.url = url
        self._seconds = seconds
        self._token = ""
        self._login = {"username": user, "password": password}

    def get(self, path: str) -> Json:
        return self._request("GET", path)

    def every(self, path: str, key: str) -> list[Json]:
        """All of the answer's list *key*, of which Airflow gives a page at a time."""
        found: list[Json] = []
        while True:
            answer = self.get(f"{path}?limit={PAGE}&offset={len(found)}")
            found += answer[key]
            if not answer[key] or len(found) >= answer["total_entries"]:
                return found

    def post(self, path: str, body: Body) -> Json:
        return self._request("POST", path, body)

    def patch(self, path: str, body: Body) -> Json:
        return self._request("PATCH", path, body)

    def put(self, path: str) -> Json:
        return self._request("PUT", path)

    def read(self, url: str) -> bytes:
        """A page of the server, as the signed-in user."""
        request = urllib.request.Request(url, headers=self._signed())  # noqa: S310
        with DIRECT.open(request, timeout=self._seconds) as answer:
            page: bytes = answer.read()
        return page

    def health(self) -> Health:
        """The health of the parts, {} while the API server does not answer."""
        try:
            health: Health = self._send("GET", "/api/v2/monitor/health", None, {})
            return health
        except (OSError, ValueError):
            return {}

    def _request(self, method: str, path: str, body: Body | None = None) -> Json:
        return self._send(method, f"/api/v2/{path}", body, self._signed())

    def _signed(self) -> dict[str, str]:
        if not self._token:
            self._token = self._send("POST", "/auth/token", self._login, {})["access_token"]
        return {"Authorization": f"Bearer {self._token}"}

    def _send(self, method: str, path: str, body: Body | None, headers: Mapping[str, str]) -> Json:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json", **headers}
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 - http only
        with DIRECT.open(request, timeout=self._seconds) as answer:
            text = answer.read()
        return json.loads(text) if text else None
