"""/openapi.json is true, and /docs lets a person try it."""

import json
import re
import tomllib
from pathlib import Path

import numpy as np

from components.data.pictures.encoding import png
from serving.messages import SERVER_VERSION
from serving.openapi import description
from tests.conftest import ROOT
from tests.support.chromium import browser
from tests.support.serving_process import ServingProcess


def test_every_path_answers_its_example(server: ServingProcess) -> None:
    """With 200, and with what it is said to take."""
    document = server.get("/openapi.json").json
    assert document["info"]["description"] == "Version 1 of shapes-classifier answers."
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            content = described.get("requestBody", {}).get("content", {}).get("application/json")
            body: str | bytes | None = json.dumps(content["example"]) if content else None
            if method == "post" and not content:
                assert "image/png" in described["requestBody"]["content"]
                body = png(np.zeros((28, 28, 1), np.uint8))
            answer = server.ask(method.upper(), path, body, content_type="application/json" if content else "image/png")
            assert answer.status == 200, (path, answer.body)
            assert answer.headers["content-type"].partition(";")[0] in described["responses"]["200"]["content"]


def test_it_describes_a_server_without_a_version() -> None:
    """The page is there before the first champion."""
    assert description(None)["info"]["description"] == "There is no version to answer yet."


def test_the_version_is_that_of_the_project() -> None:
    """Stated once more, as the server cannot read pyproject.toml."""
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == SERVER_VERSION


def test_the_page_loads_nothing_from_elsewhere(server: ServingProcess) -> None:
    """No address in it, and a policy that lets it run its own script only."""
    answer = server.get("/docs")
    assert not re.search(rb"https?://", answer.body)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_a_person_can_try_it(server: ServingProcess, tmp_path: Path) -> None:
    """A click sends the example, and the answer stands there with the version that gave it."""
    with browser(tmp_path) as page:
        page.open(f"http://127.0.0.1:{server.port}/docs")
        page.wait("document.querySelectorAll('details').length >= 10")
        page.run("document.querySelectorAll('details').forEach(d => d.open = true)")
        page.run("document.querySelector('details button').click()")
        shown = page.wait("(t => t.includes('by version') && t)(document.querySelector('details pre').innerText)")
    assert shown.startswith("200 OK, ")
    assert "by version 1" in shown
    assert '"probabilities"' in shown
