"""What /metrics counts, what the request log gets, and the shadow, of a server that runs."""

import json
import re

import numpy as np

from components.registry.client import CHALLENGER
from serving.metrics import Metrics
from tests.conftest import ROOT
from tests.support.served_versions import Versions, expected
from tests.support.serving_process import ServingProcess, serving

IMAGES = np.random.default_rng(3).integers(0, 256, (40, 28, 28, 1), np.uint8)


def counts(server: ServingProcess, name: str) -> dict[str, float]:
    """The series of the metric *name* by their labels."""
    text = server.get("/metrics").body.decode()
    return {labels: float(value) for labels, value in re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)}


def test_requests_are_counted_by_route_and_never_by_path(server: ServingProcess) -> None:
    """Images by version and class, stages with their times; paths that do not exist share one series."""
    before = counts(server, "serving_requests_total")
    for path in ("/a", "/b", "/v1/models/x/versions/1", "/v1/models/y/versions/2"):
        server.get(path)
    server.post("/predict", {"image": IMAGES[0, ..., 0].tolist()})
    server.post("/predict", {"image": [[1] * 28] * 28})
    after = counts(server, "serving_requests_total")
    new = {labels: value - before.get(labels, 0) for labels, value in after.items() if value != before.get(labels, 0)}
    assert new == {
        'route="other",status="404"': 2,
        'route="/v1:status",status="404"': 2,
        'route="/predict",status="200"': 2,
        'route="metrics",status="200"': 1,
    }
    best = expected(IMAGES[:1], 1)[0].argmax()
    assert counts(server, "serving_images_total")[f'class="{best}",version="1"'] >= 1
    assert counts(server, "serving_suspicious_total") == {'kind="max_is_1"': 1}
    assert counts(server, "serving_stage_seconds_count").keys() == {
        'stage="decode"', 'stage="infer"', 'stage="encode"',
    }  # fmt: skip
    assert next(iter(counts(server, "serving_model_info"))).endswith('model="shapes-classifier",version="1"')
    assert counts(server, "serving_registry_up") == {"": 1}
    assert counts(server, "serving_in_flight") == {"": 0}


def test_the_log_and_the_shadow_come_behind_the_answers(versions: Versions) -> None:
    """Each request has a line; the challenger is counted, with the bound of its disagreement."""
    versions.add(champion=True)
    versions.point(versions.add(), CHALLENGER)
    settings = ("--set", "serve.log_share=1", "--set", "serve.shadow_share=1")
    with serving(versions.home, *settings) as server:
        for image in IMAGES:
            assert server.post("/predict", {"image": image[..., 0].tolist()}).version == "1"
        images = "serving_shadow_images_total"
        server.wait_for(lambda: sum(counts(server, images).values()) == len(IMAGES), "comparisons")
        agrees = int((expected(IMAGES, 1).argmax(axis=1) == expected(IMAGES, 2).argmax(axis=1)).sum())
        assert counts(server, images).get('agrees="true",version="2"', 0) == agrees
        bound = counts(server, "serving_shadow_disagreement_bound")['version="2"']
        assert 1 - agrees / len(IMAGES) <= bound <= 1
    lines = [
        json.loads(line)
        for file in (versions.home / "serving" / "requests").glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    assert len(lines) == len(IMAGES)
    assert {(line["route"], line["version"], line["images"]) for line in lines} == {("/predict", "1", 1)}
    assert [line["class"] for line in lines] == [str(best) for best in expected(IMAGES, 1).argmax(axis=1)]


def test_the_dashboard_draws_what_is_counted() -> None:
    """Every series in docker/grafana-dashboard.json is a metric, and every metric is drawn."""
    text = (ROOT / "docker" / "grafana-dashboard.json").read_text()
    drawn = set(re.findall(r"serving_\w+", " ".join(re.findall(r'"expr": "(.*)"', text))))
    counted = {
        metric.name + suffix
        for metric in Metrics().registry.collect()
        for suffix in ("", "_total", "_sum", "_count", "_bucket")
    }
    assert drawn <= counted
    names = {metric.name for metric in Metrics().registry.collect()}
    assert {name for name in names if not any(series.startswith(name) for series in drawn)} == {"serving_swap_seconds"}
