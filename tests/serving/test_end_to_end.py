"""The server as a process: it answers, follows the champion, and refuses a version that is broken."""

import signal

import numpy as np

from tests.support.served_versions import Versions, expected, tflite
from tests.support.serving_process import serving

ZEROS = [[0] * 28] * 28
IMAGE = np.random.default_rng(1).integers(0, 256, (1, 28, 28, 1), np.uint8)


def test_it_follows_the_champion_and_refuses_a_broken_version(versions: Versions) -> None:
    """Forward, back, and not to a version whose file was changed: the one in use goes on, and readiness says why."""
    versions.add(champion=True)
    versions.add()
    broken = versions.add()
    with serving(versions.home) as server:

        def version() -> str:
            answer = server.post("/predict", {"image": IMAGE[0, ..., 0].tolist()})
            assert answer.status == 200, answer.body
            assert np.allclose(answer.json["probabilities"], expected(IMAGE, int(answer.version))[0], atol=1e-5)
            assert answer.json["version"] == answer.version
            return answer.version

        assert version() == "1"
        versions.point("2")
        server.wait_for(lambda: version() == "2", "version 2")
        (versions.folder(broken) / "model.tflite").write_bytes(tflite(seed=7))
        versions.point(broken)
        server.wait_for(lambda: server.get("/v2/health/ready").json["problem"], "refusal")
        ready = server.get("/v2/health/ready")
        assert ready.status == 200
        assert "version 3 of shapes-classifier is refused: " in ready.json["problem"]
        assert ready.json["problem"].endswith("; version 2 goes on")
        assert version() == "2"
        assert b'serving_swaps_total{outcome="refused"} 1.0' in server.get("/metrics").body
        versions.point("1")
        server.wait_for(lambda: version() == "1", "version 1 again")
        assert server.get("/v2/health/ready").json["problem"] is None


def test_it_waits_for_a_first_champion(versions: Versions) -> None:
    """Live and not ready; a request is told why; the first promotion is served."""
    versions.add()
    with serving(versions.home, ready=False) as server:
        server.wait_for(lambda: "has no champion" in server.get("/v2/health/ready").json["problem"], "first look")
        assert server.get("/v2/health/ready").status == 503
        answer = server.post("/predict", {"image": ZEROS})
        assert answer.status == 503
        assert "has no champion in the registry; make one with make pipeline" in answer.json["error"]
        versions.point("1")
        server.wait_for(lambda: server.post("/predict", {"image": ZEROS}).version == "1", "version 1")


def test_it_ends_when_it_is_told_to(versions: Versions) -> None:
    """SIGTERM ends it with exit status 0."""
    versions.add(champion=True)
    with serving(versions.home) as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
