"""What every protocol comes down to: images to probabilities by the version in use, counted and sampled."""

import asyncio
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from components.data.splits import Images
from components.models.prediction import Probabilities
from serving.champion import Champion
from serving.loaded_model import LoadedModel
from serving.messages import Refused, Request
from serving.metrics import Metrics
from serving.request_log import RequestLog
from serving.shadow import Shadow

P = ParamSpec("P")
T = TypeVar("T")

WAITING = 100  # requests that the challenger is to answer; more are dropped and counted
Sampled = tuple[float, str, Images, Probabilities, LoadedModel]  # when and where, what, the answer, by which version


class Service:
    def __init__(self, champion: Champion, shadow: Shadow, log: RequestLog, metrics: Metrics) -> None:
        self.champion, self.shadow, self.metrics = champion, shadow, metrics
        self.ending = False  # SIGTERM came: the load balancer is to look for another process
        self.pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="serving")
        self._log = log
        self._behind = ThreadPoolExecutor(1, thread_name_prefix="behind")  # what no response waits for
        self._waiting = 0
        self._sampled = list[Sampled]()  # since the last look: at most MOST_A_SECOND for each second

    @property
    def ready(self) -> bool:
        return self.champion.model is not None and not self.ending

    def look(self) -> None:
        """Ask the registry for the champion, and switch where it is another one."""
        before = self.champion.model
        if self.shadow.share:  # first, so that a server that is ready has both
            self.shadow.challenger.look()
        self.champion.look()
        self.metrics.registry_up.set(self.champion.reachable)
        self._write_log()
        if (model := self.champion.model) and model is not before:
            self.metrics.serving(model)

    def model(self) -> LoadedModel:
        """The version in use: read once a request, which keeps it to its end; raises Refused where there is none."""
        if self.champion.model is None:
            raise Refused(503, f"there is no model to answer with: {self.champion.problem}", ((b"retry-after", b"1"),))
        return self.champion.model

    async def classify(self, request: Request, images: Images, model: LoadedModel) -> Probabilities:
        """The probabilities of each image; on the event loop where that is quicker than handing it over."""
        start = time.perf_counter()
        if len(images) <= model.inline:
            probabilities = model.probabilities(images)
        else:
            probabilities = await self.aside(model.probabilities, images)
        request.classified = start, time.perf_counter()
        self.metrics.classified(model, images, probabilities)
        if self._log.samples():
            self._sampled.append((time.time(), request.route, images, probabilities, model))
        if self.shadow.samples():
            self._later(self._compare, images, probabilities, model)
        return probabilities

    async def aside(self, function: Callable[P, T], *arguments: P.args, **_: P.kwargs) -> T:
        """Call *function* in a thread: other requests are answered meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, *arguments)

    def _later(self, function: Callable[P, None], *arguments: P.args, **_: P.kwargs) -> None:
        """Call *function* behind the responses; dropped where too much is waiting for that already."""
        if self._waiting >= WAITING:
            self.metrics.rejected("behind")
            return
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._behind, function, *arguments)
        future.add_done_callback(self._done)

    def _done(self, future: "asyncio.Future[None]") -> None:
        self._waiting -= 1
        future.result()

    def _write_log(self) -> None:
        sampled, self._sampled = self._sampled, []
        for each in sampled:
            self._log.write(*_entry(*each))

    def _compare(self, images: Images, probabilities: Probabilities, model: LoadedModel) -> None:
        agrees = self.shadow.compare(images, probabilities.argmax(axis=1), model)
        self.metrics.compared(self.shadow, agrees)

    def end(self) -> None:
        """Finish what is waiting."""
        self._write_log()
        self.pool.shutdown()
        self._behind.shutdown()
        self.shadow.store()


def _entry(
    when: float, route: str, images: Images, probabilities: Probabilities, model: LoadedModel
) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """The line of the request log, and the image that it is about: one of the request's, chosen at random."""
    chosen = random.randrange(len(images))  # noqa: S311 - a sample, no secret
    row = probabilities[chosen]
    second, best = row.argsort()[-2:].tolist() if len(row) > 1 else (0, 0)
    entry = {
        "time": when, "route": route, "version": model.version, "images": len(images),
        "class": model.classes[best], "confidence": float(row[best]),
        "second": model.classes[second], "second_confidence": float(row[second]),
    }  # fmt: skip
    return entry, images[chosen]
