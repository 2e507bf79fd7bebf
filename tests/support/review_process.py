"""The review as a process of its own, and requests to it; a run with something to review."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from components.ingest.sources import digits
from components.settings.sections import Ingest
from tests.conftest import CLEAN, QUICK, ROOT, command
from tests.support.airflow_server import free_port
from tests.support.ended_with_us import start
from tests.support.serving_process import Answer, ask

SECONDS = 60
CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MODEL = "figures-classifier"


def write_figures(folder: Path) -> Path:
    """The digits as files below their names in FOLDER/figures: some labels wrong, and some files below two names."""
    root, rng = folder / "figures", np.random.default_rng(0)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
    blocks = list(digits.read(Ingest(source="digits"), Path()).blocks)
    images, labels = (np.concatenate([block[part] for block in blocks]) for part in (1, 2))
    wrong = set(rng.permutation(len(images))[:40].tolist())
    for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        name = CLASSES[(label + (int(rng.integers(1, 10)) if number in wrong else 0)) % 10]
        Image.fromarray(image[..., 0]).save(root / name / f"{number}.png")
    for name, other in (("one", "two"), ("three", "four")):
        first = min((root / name).iterdir())
        (root / other / f"copy of {first.name}").write_bytes(first.read_bytes())
    return root


def reviewable(home: Path) -> None:
    """A quick run in *home* on such figures."""
    settings = [part for setting in QUICK for part in ("--set", setting)]
    done = command(home, "run", "--source", str(write_figures(home)), *settings)
    assert done.returncode == 0, done.stderr


@dataclass
class ReviewProcess:
    """*url* is the address that it printed."""

    url: str
    pid: int

    def ask(self, method: str, path: str, body: bytes | None = None, *, full: str = "", **headers: str) -> Answer:
        """Below the address, or at the *full* path."""
        parts = urlsplit(self.url)
        return ask(parts.port or 0, method, full or parts.path + path, body, **headers)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, None, full="", **headers)

    def post(self, path: str, document: object, **headers: str) -> Answer:
        headers = {"content_type": "application/json"} | headers
        return self.ask("POST", path, json.dumps(document).encode(), full="", **headers)


@contextmanager
def reviewing(home: Path, *arguments: str, output: Sequence[str] = ()) -> Iterator[ReviewProcess]:
    """`python -m pipeline review` on *home*; its *output*, a list, has the lines that it printed, once it has ended."""
    log = home / f"review-{free_port()}.log"
    with log.open("wb") as errors:
        process = start(
            [sys.executable, "-m", "pipeline", "review", "--port", str(free_port()), *arguments],
            cwd=ROOT, env={**CLEAN, "PIPELINE_HOME": str(home)}, stdout=-1, stderr=errors, text=True,
        )  # fmt: skip
    try:
        line = process.stdout.readline() if process.stdout else ""
        address = re.search(r"http\S+", line)
        assert address, line + log.read_text()
        yield ReviewProcess(address[0], process.pid)
    finally:
        process.terminate()
        rest, _ = process.communicate(timeout=SECONDS)
        if isinstance(output, list):
            output += [line, *rest.splitlines()]
