"""A user's own images in colour and own network, as the documentation has it: from the command line to a champion."""

import json
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image

from tests.conftest import ROOT, command

SETTINGS = (
    "train.model=mynets:small",
    "train.epochs=4",
    "evaluate.corruption_images=0",
    "export.formats=tflite,int8",
    "gate.max_export_loss=0.05",
)
COLOURS = {"cherry": (200, 30, 60), "leaf": (40, 180, 50), "sky": (60, 120, 220)}
NUMBER = 60  # of each


def write_network(folder: Path) -> None:
    """The file mynets.py of docs/training.md."""
    page = (ROOT / "docs/training.md").read_text()
    code = page[page.index("    # mynets.py") :].partition("\nThe pipeline adds")[0]
    (folder / "mynets.py").write_text(textwrap.dedent(code))


def picture(colour: tuple[int, int, int], seed: int) -> Image.Image:
    """A disc of about *colour* on noise, 16 pixels wide."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (16, 16, 3))
    rows, columns = np.ogrid[:16, :16]
    disc = (rows - rng.uniform(6, 9)) ** 2 + (columns - rng.uniform(6, 9)) ** 2 < 25
    pixels[disc] = colour + rng.integers(-20, 21, 3)
    return Image.fromarray(pixels.astype(np.uint8))


def test_colour_images_and_a_custom_network_become_a_champion_that_answers(tmp_path: Path) -> None:
    """Photographs and drawings (JPEG and PNG) through all eight stages; the exported file names what it sees."""
    write_network(tmp_path)
    for number, (name, colour) in enumerate(COLOURS.items()):
        (tmp_path / "things" / name).mkdir(parents=True)
        for seed in range(NUMBER):
            file = tmp_path / "things" / name / f"{seed}.{('png', 'jpg')[seed % 2]}"
            picture(colour, 1000 * number + seed).save(file)
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    source, network = ("--source", str(tmp_path / "things")), {"PYTHONPATH": str(tmp_path)}
    done = command(tmp_path / "home", "run", "--json", *source, *settings, **network)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["model"] == {"name": "things-classifier", "version": "1", "aliases": ["challenger", "champion"]}
    assert answer["accuracy"] >= 0.9
    for number, (name, colour) in enumerate(COLOURS.items()):
        picture(colour, 90_000 + number).save(tmp_path / f"{name}.png")
    asked = [str(tmp_path / f"{name}.png") for name in COLOURS]
    done = command(tmp_path / "home", "predict", "--model", "things-classifier", "--json", *asked)
    assert done.returncode == 0, done.stderr
    assert [row["class"] for row in json.loads(done.stdout)["rows"]] == [*COLOURS]
