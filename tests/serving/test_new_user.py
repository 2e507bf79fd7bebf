"""From the digits to the page: train, serve, draw, train again, see the version change, and roll back."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import command
from tests.support.chromium import Page, browser
from tests.support.drawn_on_page import answered, placed, with_finger, with_keyboard, with_mouse
from tests.support.handwriting import Points, written
from tests.support.serving_process import ServingProcess, serving

EACH = 2  # drawings of each digit
LEAST = 15  # of 20 that have to be right: 89 % are (docs/benchmarks.md)
SEVEN = [[(60, 40), (190, 40), (120, 230)], [(100, 140), (190, 140)]]


@pytest.fixture
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page
        assert page.complaints() == []


@contextmanager
def served(home: Path, page: Page) -> Iterator[ServingProcess]:
    """A server of *home*, on whose page *page* is until the server ends: it would complain that nobody answers."""
    with serving(home) as server:
        page.open(f"http://127.0.0.1:{server.port}/")
        yield server
        page.open("about:blank")


def seven() -> list[Points]:
    return placed(written(7, np.random.default_rng(3)))


def test_digits_that_are_drawn_are_recognized(trained_digits: Path, page: Page) -> None:
    """With the mouse, a finger and the keyboard: most of what no training image holds."""
    rng = np.random.default_rng(0)
    page.call("Emulation.setTouchEmulationEnabled", enabled=True)
    with served(trained_digits, page):
        page.shows("Nothing drawn yet.")
        right = []
        for digit in [*range(10)] * EACH:
            size = rng.uniform(0.4, 0.85)
            with_mouse(page, placed(written(digit, rng), size, *rng.uniform(0.05, 0.95 - size, 2)))
            right.append(answered(page) == str(digit))
            page.click("#clear")
            page.shows("Nothing drawn yet.")
        assert sum(right) >= LEAST, right
        with_finger(page, seven())
        assert answered(page) == "7"
        page.click("#clear")
        page.shows("Nothing drawn yet.")
        with_keyboard(page, SEVEN)
        assert answered(page) == "7"


def test_the_open_page_follows_a_retraining_and_a_rollback(trained_digits: Path, tmp_path: Path, page: Page) -> None:
    """A seven drawn with the mouse is answered by each version in turn."""
    home = tmp_path / "home"
    shutil.copytree(trained_digits, home, symlinks=True)
    with served(home, page) as server:
        page.shows("version 1 of digits-classifier")
        with_mouse(page, seven())
        assert answered(page) == "7"
        done = command(home, "run", "--source", "digits", "--set", "train.seed=1")
        assert done.returncode == 0, done.stderr
        page.shows("version 2 of digits-classifier")
        assert answered(page) == "7"
        assert server.get("/page/model").version == "2"
        done = command(home, "rollback")
        assert done.returncode == 0, done.stderr
        page.shows("version 1 of digits-classifier")
        assert answered(page) == "7"
