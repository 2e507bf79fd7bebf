"""Headless Chromium, driven over its DevTools protocol: https://chromedevtools.github.io/devtools-protocol/"""

import base64
import itertools
import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support import ended_with_us

SECONDS = 120
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--hide-scrollbars")
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-quic", "--disable-dev-shm-usage")

NAVIGATING = ("Inspected target navigated", "Execution context was destroyed", "Cannot find context")
MOVES = "a => a.playState === 'running' && a.effect.getTiming().iterations !== Infinity"


LOGGED = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")


class Navigating(AssertionError):
    """The page was replaced by the next one while a script ran in it."""


class Page:
    """One page."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection, self._numbers = connection, itertools.count(1)
        self._logged: list[dict[str, Any]] = []
        for domain in ("Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(SECONDS))
            if message.get("method") in LOGGED:
                self._logged.append(message["params"])
            if message.get("id") == number:
                error = message.get("error")
                if error and error["message"].startswith(NAVIGATING):
                    raise Navigating(error)
                assert not error, error
                result: dict[str, Any] = message["result"]
                return result

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def complaints(self) -> list[dict[str, Any]]:
        """What was written to the console, uncaught errors and violations of the content security policy so far."""
        self.run("0")  # what was sent before its answer is there with it
        return self._logged

    def open(self, url: str, height: int = 900, width: int = 1440) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=url)

    def text(self) -> str:
        return str(self.run("document.body ? document.body.innerText : ''"))

    def wait(self, script: str) -> Any:
        """The value of *script* as soon as it is true."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            with suppress(Navigating):
                if value := self.run(script):
                    return value
            time.sleep(0.1)
        raise AssertionError(f"waited in vain for {script}; the page says:\n{self.text()[:2000]}")

    def shows(self, *texts: str) -> None:
        """Wait until the page shows each of *texts*."""
        for text in texts:
            self.wait(f"document.body && document.body.innerText.includes({json.dumps(text)})")

    def fill(self, selector: str, value: str) -> None:
        self.wait(f"!!document.querySelector({json.dumps(selector)})")
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=value)

    def click(self, selector: str, text: str = "") -> None:
        """Click the first element of *selector* that shows *text*."""
        elements = f"[...document.querySelectorAll({json.dumps(selector)})]"
        element = f"{elements}.find(e => e.innerText.includes({json.dumps(text)}))"
        self.wait(f"!!{element}")
        self.run(f"{element}.click()")

    def mouse(self, kind: str, x: float, y: float) -> None:
        """A real event of the mouse, whose left button is down until mouseReleased."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def touch(self, kind: str, x: float, y: float) -> None:
        """A real event of one finger on a touch screen, which is emulated."""
        points = [] if kind == "touchEnd" else [{"x": x, "y": y}]
        self.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    def press(self, key: str) -> None:
        """Press and release *key* where the focus is."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)

    def drop(self, selector: str, name: str, png: bytes) -> None:
        """Drop the file *name* on the first element of *selector*."""
        data = json.dumps(base64.b64encode(png).decode())
        self.run(
            "(() => { const dropped = new DataTransfer();"
            f"dropped.items.add(new File([Uint8Array.from(atob({data}), c => c.charCodeAt(0))], {json.dumps(name)},"
            "{type: 'image/png'}));"
            f"document.querySelector({json.dumps(selector)}).dispatchEvent("
            "new DragEvent('drop', {dataTransfer: dropped, bubbles: true, cancelable: true})); })()"
        )

    def screenshot(self, file: Path) -> None:
        """Save what the page shows once nothing on it moves any more."""
        self.wait(f"!document.getAnimations().some({MOVES})")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A page of a Chromium whose profile is in *folder*."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if not program:
        pytest.skip("the tests of Airflow's UI need Chromium; on Debian and Ubuntu: apt-get install chromium")
    with (folder / "chromium.log").open("w") as log:
        command = [program, *OPTIONS, *QUIET, "--remote-debugging-port=0", f"--user-data-dir={folder}/profile"]
        process = ended_with_us.start([*command, "--window-size=1440,900", "about:blank"], stdout=log, stderr=log)
    try:
        port = _port(process, folder / "chromium.log")
        with connect(_page(port), max_size=None) as connection:
            yield Page(connection)
    finally:
        process.terminate()
        process.wait(60)


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        if listening := re.search(r"DevTools listening on ws://[^:]+:(\d+)/", log.read_text(errors="replace")):
            return int(listening[1])
        time.sleep(0.1)
    raise AssertionError(f"Chromium did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=SECONDS) as answer:
        targets = json.load(answer)
    return str(next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page"))
