"""The page at /: drawn and dropped pictures in a real browser, the version that answers, and what is reported."""

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.artifact_files import DrawnForm
from components.data.pictures.encoding import png
from serving.wrong_answers import WrongAnswers
from tests.support.chromium import Page, browser
from tests.support.drawn_on_page import answered, placed, with_mouse
from tests.support.handwriting import written
from tests.support.served_versions import DIGITS, Versions
from tests.support.serving_process import ServingProcess, serving

MNIST_FORM: DrawnForm = {"box": 20, "centred": True}
WIDTHS = pytest.mark.parametrize("width", [1400, 390])
SEVEN = placed(written(7, np.random.default_rng(0)))
MARKUP = "<img src=x onerror=alert(1)>"
SEEN = (
    "[...document.getElementById('seen').getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, k) => !(k % 4))"
)


@pytest.fixture
def drawn(versions: Versions) -> Versions:
    """Two versions of a model of drawings, of which the first is the champion."""
    versions.drawn = MNIST_FORM
    versions.add(champion=True)
    versions.add()
    return versions


@pytest.fixture
def drawing_server(drawn: Versions) -> Iterator[ServingProcess]:
    with serving(drawn.home) as process:
        yield process


@pytest.fixture
def photo_server(empty_database: Path, tmp_path: Path) -> Iterator[ServingProcess]:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    Versions(tmp_path, shape=(32, 48, 3), labels=(MARKUP, "dog")).add(champion=True)
    with serving(tmp_path) as process:
        yield process


@pytest.fixture
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page that has said nothing to its console, and broken no rule of its policy, at the end of the test.

    Tests ask for it after the server: it asks on and on, and ends first.
    """
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page
        assert page.complaints() == []


def url(server: ServingProcess) -> str:
    return f"http://127.0.0.1:{server.port}/"


def test_it_loads_nothing_from_elsewhere(server: ServingProcess) -> None:
    """No address in it, and a policy that lets it run its own script only."""
    answer = server.get("/")
    assert b"http" not in answer.body
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in answer.headers["content-security-policy"]


@WIDTHS
def test_a_drawing_is_answered(drawing_server: ServingProcess, page: Page, width: int) -> None:
    """As it was put into the form of the training: a box of 20 in the middle of 28 x 28."""
    page.open(url(drawing_server), width=width)
    page.shows("version 1 of shapes-classifier, right on 75.0 % of 300 test images", "Nothing drawn yet.")
    page.run("document.getElementById('paper').scrollIntoView()")
    with_mouse(page, SEVEN)
    assert answered(page) in DIGITS
    ink = np.array(page.run(SEEN)).reshape(28, 28)
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert ink.max() == 255
    assert page.run("document.querySelectorAll('#bars li').length") == 10
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    assert page.run("[...document.querySelectorAll('button, select, label.file')].every(e => e.offsetHeight >= 44)")


def test_it_can_be_drawn_with_the_keyboard(drawing_server: ServingProcess, page: Page) -> None:
    """Space puts the pen down, arrows move it, Delete clears."""
    page.open(url(drawing_server))
    page.shows("Nothing drawn yet.")
    page.run("document.getElementById('paper').focus()")
    for key in (" ", *["ArrowDown"] * 8, " "):
        page.press(key)
    assert answered(page) in DIGITS
    page.press("Delete")
    page.shows("Nothing drawn yet.")
    assert page.run("document.getElementById('details').hidden")


def test_the_version_changes_with_the_champion(drawing_server: ServingProcess, page: Page, drawn: Versions) -> None:
    """On the open page, there and back."""
    page.open(url(drawing_server))
    page.shows("version 1 of shapes-classifier")
    drawn.point("2")
    page.shows("version 2 of shapes-classifier")
    drawn.point("1")
    page.shows("version 1 of shapes-classifier")


def test_a_mistake_is_reported(drawing_server: ServingProcess, page: Page, drawn: Versions) -> None:
    """With the picture that the model saw, what it said, and what it is."""
    page.open(url(drawing_server))
    page.shows("Nothing drawn yet.")
    with_mouse(page, SEVEN)
    said = answered(page)
    page.run("document.getElementById('label').value = '7'")
    page.click("#wrong button")
    page.shows("Thank you: it is a 7")
    [line] = (drawn.home / "serving" / "wrong.jsonl").read_text().splitlines()
    report = json.loads(line)
    assert {name: report[name] for name in ("model", "version", "label", "answer")} == {
        "model": "shapes-classifier", "version": "1", "label": "7", "answer": said,
    }  # fmt: skip
    assert base64.b64decode(report["picture"]).startswith(b"\x89PNG")


@WIDTHS
def test_a_picture_is_dropped(photo_server: ServingProcess, page: Page, width: int) -> None:
    """Where the training images are no drawings there is no pen; names of classes are text, whatever they hold."""
    page.open(url(photo_server), width=width)
    page.shows("No picture yet.")
    page.drop("#paper", "photo.png", png(np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)))
    answered(page)
    page.shows(MARKUP, "48 x 32 pixels")
    assert page.run("document.querySelectorAll('img').length") == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/json", "origin": "http://evil.example"}, 403),
        ({"content_type": "application/json", "sec_fetch_site": "cross-site"}, 403),
        ({"content_type": "application/json", "host": "rebound.example", "origin": "http://rebound.example"}, 403),
        ({"content_type": "application/json", "host": "localhost.evil.example"}, 403),
        ({"content_type": "application/json", "host": ""}, 403),
        ({"content_type": "application/json", "host": "[::1]:8000", "origin": "http://[::1]:8000"}, 400),
        ({"content_type": "application/json", "host": "localhost:8000", "origin": "http://localhost:8000"}, 400),
        ({"content_type": "application/json"}, 400),
    ],
)
def test_pages_of_other_sites_report_nothing(server: ServingProcess, headers: dict[str, str], status: int) -> None:
    """Neither do those whose name was made an address of this machine; an address and localhost are the server's own.

    Those that may report are refused for their picture, with 400.
    """
    answer = server.ask("POST", "/wrong", json.dumps({"picture": "", "label": "7"}), **headers)
    assert answer.status == status, answer.body


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("digits.example.org", "https://digits.example.org", 400),
        ("serving:8000", "https://digits.example.org", 400),
        ("digits.example.org", "", 400),
        ("other.example.org", "https://other.example.org", 403),
    ],
    ids=["the proxy passes the host", "the proxy sends its own", "no origin", "another name"],
)
def test_the_page_behind_a_proxy_reports_where_its_origin_is_named(
    versions: Versions, host: str, origin: str, status: int
) -> None:
    versions.add(champion=True)
    headers = {"content_type": "application/json", "host": host} | ({"origin": origin} if origin else {})
    with serving(versions.home, "--set", "serve.origins=https://digits.example.org") as server:
        answer = server.ask("POST", "/wrong", json.dumps({"picture": "", "label": "7"}), **headers)
    assert answer.status == status, answer.body
    if status == 403:
        assert "name its origin in serve.origins" in answer.json["error"]


def report(home: Path) -> dict[str, Any]:
    """The last one."""
    line: dict[str, Any] = json.loads((home / "serving" / "wrong.jsonl").read_text().splitlines()[-1])
    return line


def test_a_report_holds_what_the_user_saw(versions: Versions) -> None:
    """Not what the version in use answers since; a version in use is believed only where it answers so."""
    versions.add(champion=True)
    picture = np.random.default_rng(2).integers(0, 256, (28, 28, 1), np.uint8)
    sent = {"picture": base64.b64encode(png(picture)).decode(), "label": "7"}
    with serving(versions.home) as server:
        answer, confidence = server.ask("POST", "/page/answer", png(picture)).json["likeliest"][0]
        other = next(name for name in DIGITS if name != answer)
        seen = {"version": "1", "answer": answer, "confidence": confidence}
        assert server.post("/wrong", sent | seen).status == 200
        assert seen.items() <= report(versions.home).items()
        assert server.post("/wrong", sent | {"version": "1", "answer": other}).status == 409
        assert server.post("/wrong", sent | {"version": "8", "answer": other, "confidence": 0.5}).status == 200
        assert {"version": "8", "answer": other, "confidence": 0.5}.items() <= report(versions.home).items()
        assert server.post("/wrong", sent).status == 200
        assert seen.items() <= report(versions.home).items()


def test_reports_go_to_the_folder_of_the_setting(versions: Versions, tmp_path: Path) -> None:
    """As in a container, which sees the workspace read-only."""
    versions.add(champion=True)
    folder = tmp_path / "reports"
    sent = {"picture": base64.b64encode(png(np.ones((28, 28, 1), np.uint8))).decode(), "label": "7"}
    with serving(versions.home, PIPELINE_SERVE_REPORT_FOLDER=str(folder)) as server:
        assert server.post("/wrong", sent).status == 200
    assert len((folder / "wrong.jsonl").read_text().splitlines()) == 1
    assert not (versions.home / "serving" / "wrong.jsonl").exists()


def test_nothing_drawn_is_no_digit(drawing_server: ServingProcess) -> None:
    """An empty sheet is refused with a sentence, and never reported."""
    blank = png(np.zeros((28, 28, 1), np.uint8))
    answer = drawing_server.ask("POST", "/page/answer", blank)
    assert (answer.status, answer.json) == (422, {"error": "nothing is drawn in the picture"})


def test_reports_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In size, and in number a minute."""
    from serving import wrong_answers
    from serving.messages import Refused

    entry: dict[str, Any] = {"label": "7"}
    image = np.zeros((28, 28, 1), np.uint8)
    monkeypatch.setattr(wrong_answers, "MOST_A_MINUTE", 2)
    monkeypatch.setattr("serving.wrong_answers.time.monotonic", lambda: 0.0)
    reports = WrongAnswers(tmp_path / "serving" / "wrong.jsonl")
    reports.add(entry, image)
    monkeypatch.setattr(wrong_answers, "MOST_BYTES", 200)
    with pytest.raises(Refused, match="as many reports"):
        reports.add(entry, image)
    with pytest.raises(Refused, match="came in this minute"):
        reports.add(entry, image)
    assert len((tmp_path / "serving" / "wrong.jsonl").read_text().splitlines()) == 1
