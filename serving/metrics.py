"""What the server did, for Prometheus. Series are bound once: to look one up by its labels costs more than to count."""

from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from components.data.splits import Images
from components.models.prediction import Probabilities
from serving.loaded_model import LoadedModel
from serving.shadow import Shadow

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
STAGES_OF = 8
CONFIDENCES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)


class Metrics:
    """*route* is a route's name and never the path: the paths of an attacker would be a series each."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self._requests = Counter("serving_requests_total", "requests answered", ["route", "status"], registry=registry)
        self._seconds = Histogram(
            "serving_request_seconds", "from a request's headers to its answer", ["route"], registry=registry,
            buckets=SECONDS,
        )  # fmt: skip
        self._stages = Histogram(
            "serving_stage_seconds", "parts of one request in eight", ["stage"], registry=registry,
            buckets=SECONDS,
        )  # fmt: skip
        self._images = Counter("serving_images_total", "images classified", ["version", "class"], registry=registry)
        self._confidence = Histogram(
            "serving_confidence", "probability of the most likely class", ["version"], registry=registry,
            buckets=CONFIDENCES,
        )  # fmt: skip
        self._model = Gauge(
            "serving_model_info", "1 for the version in use", ["model", "version", "digest"], registry=registry
        )
        self._switches = Counter("serving_swaps_total", "changes of the champion", ["outcome"], registry=registry)
        self._switch_seconds = Histogram(
            "serving_swap_seconds", "to load and try a version", ["outcome"], registry=registry, buckets=SECONDS
        )
        self.in_flight = Gauge("serving_in_flight", "requests being answered", registry=registry)
        self._suspicious = Counter("serving_suspicious_total", "images that look wrong", ["kind"], registry=registry)
        self._shadow = Counter(
            "serving_shadow_images_total", "images that the challenger classified too", ["version", "agrees"],
            registry=registry,
        )  # fmt: skip
        self._bound = Gauge(
            "serving_shadow_disagreement_bound", "95 % upper bound of the share of disagreements", ["version"],
            registry=registry,
        )  # fmt: skip
        self._rejected = Counter("serving_rejected_total", "requests rejected", ["reason"], registry=registry)
        self.registry_up = Gauge("serving_registry_up", "1 where the registry answers", registry=registry)
        self._countdown = 1
        self._max_is_1 = self._suspicious.labels("max_is_1")
        self._stage = [self._stages.labels(stage).observe for stage in ("decode", "infer", "encode")]
        self._request = cache(self._requests.labels)
        self._request_seconds = cache(self._seconds.labels)
        self._image = cache(self._images.labels)
        self._image_confidence = cache(self._confidence.labels)

    def answered(self, route: str, status: int, seconds: float) -> None:
        self._request(route, status).inc()
        self._request_seconds(route).observe(seconds)

    def rejected(self, reason: str) -> None:
        self._rejected.labels(reason).inc()

    def stages(self, start: float, classified: tuple[float, float], end: float) -> None:
        """The parts of a request, by the times between them; one request of STAGES_OF is observed."""
        self._countdown -= 1
        if self._countdown:
            return
        self._countdown = STAGES_OF
        decode, infer, encode = self._stage
        decode(classified[0] - start)
        infer(classified[1] - classified[0])
        encode(end - classified[1])

    def classified(self, model: LoadedModel, images: Images, probabilities: Probabilities) -> None:
        if _is_at_most_1(images):  # a picture of fractions that was rounded, most likely
            self._max_is_1.inc()
        observe = self._image_confidence(model.version).observe
        for row in probabilities.tolist():
            confidence = max(row)
            self._image(model.version, model.classes[row.index(confidence)]).inc()
            observe(confidence)

    def switched(self, outcome: str, seconds: float) -> None:
        self._switches.labels(outcome).inc()
        self._switch_seconds.labels(outcome).observe(seconds)

    def compared(self, shadow: Shadow, agrees: list[bool]) -> None:
        for agree in agrees:
            self._shadow.labels(shadow.pair[1], str(agree).lower()).inc()
        if agrees:
            self._bound.labels(shadow.pair[1]).set_function(lambda: shadow.counts.bound)

    def serving(self, model: LoadedModel) -> None:
        self._model.clear()
        self._model.labels(model.name, model.version, model.sha256[:12]).set(1)

    def text(self) -> bytes:
        return generate_latest(self.registry)


def _is_at_most_1(images: Images) -> bool:
    """Whether there is a 1 and nothing above it; quick, as most images begin or end with something else."""
    pixels = images.tobytes()
    return not pixels.strip(b"\0\1") and b"\1" in pixels
