"""What every protocol comes down to: images to probabilities by the version in use, counted and sampled."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from components.data.splits import Images
from components.models.prediction import Probabilities
from serving.champion import Champion
from serving.loaded_model import LoadedModel
from serving.messages import Refused
from serving.metrics import Metrics

P = ParamSpec("P")
T = TypeVar("T")


class Service:
    def __init__(self, champion: Champion, metrics: Metrics) -> None:
        self.champion, self.metrics = champion, metrics
        self.ending = False  # SIGTERM came: the load balancer is to look for another process
        self.pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="serving")

    @property
    def ready(self) -> bool:
        return self.champion.model is not None and not self.ending

    def look(self) -> None:
        """Ask the registry for the champion, and switch where it is another one."""
        before = self.champion.model
        self.champion.look()
        self.metrics.registry_up.set(self.champion.reachable)
        if (model := self.champion.model) and model is not before:
            self.metrics.serving(model)

    def model(self) -> LoadedModel:
        """The version in use: read once a request, which keeps it to its end; raises Refused where there is none."""
        if self.champion.model is None:
            raise Refused(503, f"there is no model to answer with: {self.champion.problem}", ((b"retry-after", b"1"),))
        return self.champion.model

    async def classify(self, images: Images, model: LoadedModel) -> Probabilities:
        """The probabilities of each image; on the event loop where that is quicker than handing it over."""
        if len(images) <= model.inline:
            probabilities = model.probabilities(images)
        else:
            probabilities = await self.aside(model.probabilities, images)
        self.metrics.classified(model, probabilities)
        return probabilities

    async def aside(self, function: Callable[P, T], *arguments: P.args, **_: P.kwargs) -> T:
        """Call *function* in a thread: other requests are answered meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, *arguments)
