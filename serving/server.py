"""uvicorn around the application: its limits, the thread that follows the registry, and a graceful end."""

import asyncio
import contextlib
import gc
import resource
import signal
from types import FrameType

import uvicorn

from serving.app import Application
from serving.connection import Connection
from serving.service import Service

POLL_SECONDS = 1.0
GRACE_SECONDS = 20  # for requests that are being answered when the process is to end
CONNECTIONS = 2048
KEEP_ALIVE_SECONDS = 15
FILES = CONNECTIONS + 256


class Server(uvicorn.Server):
    def __init__(self, application: Application, service: Service, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                host=host,
                port=port,
                http=Connection,
                ws="none",
                loop="uvloop",
                lifespan="off",
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=CONNECTIONS,
                limit_concurrency=CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._service = service

    async def serve(self, sockets: object = None) -> None:
        _allow_connections()
        for number in (signal.SIGINT, signal.SIGTERM):  # which uvicorn raises once more after it has ended
            signal.signal(number, lambda *_: None)
        # a body of rows is many lists, each of which would wake the collector for all that is loaded
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        following = asyncio.create_task(self._follow())
        try:
            await super().serve()
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            self._service.end()

    async def _follow(self) -> None:
        while True:
            await asyncio.to_thread(self._service.look)
            await asyncio.sleep(POLL_SECONDS)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.ending = True
        super().handle_exit(sig, frame)


def _allow_connections() -> None:
    """Raise the number of open files, which a connection is one of, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
