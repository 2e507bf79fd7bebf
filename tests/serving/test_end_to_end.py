"""The server as a process: it answers, follows the champion, and refuses a version that is broken."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil

from components.registry.client import Registry
from tests.conftest import CLEAN, ROOT
from tests.support.mlflow_server import add_version, mlflow_server
from tests.support.served_versions import Versions, expected, tflite
from tests.support.serving_process import serving

ZEROS = [[0] * 28] * 28
IMAGE = np.random.default_rng(1).integers(0, 256, (1, 28, 28, 1), np.uint8)


def accepts(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


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


def test_a_machine_that_sees_the_registry_alone_serves_its_champion(
    versions: Versions, empty_database: Path, tmp_path: Path
) -> None:
    """The files of the champion, and of the one after it, are fetched from MLflow's server, without MLflow."""
    versions.add()
    versions.add()
    here = tmp_path / "here"
    for folder in (here, tmp_path / "server"):
        folder.mkdir()
    with mlflow_server(tmp_path / "server", empty_database) as uri:
        remote = Registry(uri)
        remote.create_model(versions.name, "")
        for version in versions.registry.versions(versions.name):
            copy = add_version(remote, versions.name, version.tags)
            remote.log_files(copy, versions.folder(version.version), "exports")
        remote.set_alias(versions.name, "champion", "1")
        with serving(here, MLFLOW_TRACKING_URI=uri) as server:
            assert server.post("/predict", {"image": ZEROS}).version == "1"
            remote.set_alias(versions.name, "champion", "2")
            server.wait_for(lambda: server.post("/predict", {"image": ZEROS}).version == "2", "version 2")
            assert psutil.Process(server.process.pid).memory_info().rss < 100e6
        file = versions.folder("2") / "model.tflite"
        assert (here / "exports" / versions.name / "2" / "model.tflite").read_bytes() == file.read_bytes()


def test_it_waits_for_a_first_champion(versions: Versions) -> None:
    """Live and not ready; a request is refused with the reason; the first promotion is served."""
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
    """SIGTERM ends it with exit status 0, after a request that was half sent has been answered."""
    versions.add(champion=True)
    body = json.dumps({"image": ZEROS}).encode()
    with serving(versions.home) as server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        connection.sendall(body[:100])
        server.wait_for(lambda: server.get("/v2/health/live").status == 200, "an answer, after the half request")
        server.process.send_signal(signal.SIGTERM)
        while accepts(server.port):
            time.sleep(0.01)
        connection.sendall(body[100:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert server.process.wait(30) == 0


def test_a_token_is_asked_of_everything_but_health(versions: Versions) -> None:
    """By the file of the setting; wrong and missing ones are refused alike."""
    versions.add(champion=True)
    token = versions.home / "token"
    token.write_text("secret-token\n")
    with serving(versions.home, PIPELINE_SERVE_TOKEN_FILE=str(token)) as server:
        body = json.dumps({"image": ZEROS})
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "secret-token"}):
            answer = server.ask("POST", "/predict", body, **headers)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert server.ask("POST", "/predict", body, authorization="Bearer secret-token").status == 200
        assert server.get("/metrics").status == 401
        assert [server.get(path).status for path in ("/v2/health/live", "/v2/health/ready", "/ping")] == [200] * 3


def test_it_loads_no_library_of_training(versions: Versions) -> None:
    """Neither TensorFlow nor MLflow, SciPy or pandas: below 100 MB."""
    versions.add(champion=True)
    with serving(versions.home) as server:
        assert server.post("/predict", {"image": ZEROS}).status == 200
        [process] = psutil.Process(server.process.pid).children()
        loaded = {Path(mapped.path).parts for mapped in process.memory_maps()}
        packages = {part for parts in loaded for part in parts}
        assert not packages & {"tensorflow", "keras", "mlflow", "scipy", "pandas", "sqlalchemy"}
        assert process.memory_info().rss < 100e6


def test_a_taken_port_is_told(versions: Versions) -> None:
    """In a sentence with what to type, before anything is loaded."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "serving", "--port", port]
        done = subprocess.run(command, cwd=ROOT, env=CLEAN, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: port {port} on 127.0.0.1 cannot be listened on")
    assert "make serve SERVE_PORT=" in done.stderr


def test_the_registry_may_be_away(versions: Versions) -> None:
    """The version in use goes on; readiness and metrics say that the registry does not answer, until it does again."""
    versions.add(champion=True)
    database, away = versions.home / "mlflow.db", versions.home / "away.db"
    with serving(versions.home) as server:
        database.rename(away)
        database.write_text("no database")
        server.wait_for(lambda: server.get("/v2/health/ready").json["problem"], "problem")
        assert server.get("/v2/health/ready").status == 200
        assert b"serving_registry_up 0.0" in server.get("/metrics").body
        assert server.post("/predict", {"image": ZEROS}).version == "1"
        away.rename(database)
        server.wait_for(lambda: server.get("/v2/health/ready").json["problem"] is None, "registry")
        assert b"serving_registry_up 1.0" in server.get("/metrics").body


def test_pages_of_named_origins_may_call_it(versions: Versions) -> None:
    """With a preflight; another origin gets no header, so that a browser shows it nothing."""
    versions.add(champion=True)
    with serving(versions.home, "--set", "serve.origins=https://pictures.example.org") as server:
        for origin, allowed in (("https://pictures.example.org", True), ("https://evil.example.org", False)):
            for method, body in (("OPTIONS", None), ("POST", json.dumps({"image": ZEROS}))):
                answer = server.ask(method, "/predict", body, origin=origin)
                assert answer.status == (200 if body else 204)
                assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
                assert answer.headers["vary"] == "origin"
