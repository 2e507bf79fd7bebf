"""Folders of generated images, one folder per class: seeded, so that every call writes the same pixels.

Each kind is a classification that colour or brightness alone does not solve: every image draws its own colours, sizes,
positions and rotations. Images are drawn at twice their size and reduced, so edges are smooth.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Random = np.random.Generator
Points = list[tuple[float, float]]
Floats = NDArray[np.float64]

FINE = 2  # pixels drawn for one pixel of the image, along each side


def regular(corners: int, inner: float = 1.0) -> Points:
    """A regular polygon of radius 1; every other corner lies at the radius *inner*: a star."""
    count = corners * (2 if inner < 1 else 1)
    radii = [inner if inner < 1 and k % 2 else 1.0 for k in range(count)]
    turns = [2 * math.pi * k / count - math.pi / 2 for k in range(count)]
    return [(radius * math.cos(turn), radius * math.sin(turn)) for radius, turn in zip(radii, turns, strict=True)]


def bars(*boxes: tuple[float, float, float, float]) -> Points:
    """The outline of boxes (left, top, right, bottom), to be drawn one by one: four corners each."""
    return [point for x0, y0, x1, y1 in boxes for point in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]


def crescent() -> Points:
    """A disc without a part of another disc."""
    outer = [(math.cos(t), math.sin(t)) for t in np.linspace(0.7, 2 * math.pi - 0.7, 40)]
    inner = [(0.45 + 0.72 * math.cos(t), 0.72 * math.sin(t)) for t in np.linspace(2 * math.pi - 1.1, 1.1, 40)]
    return outer + inner


SHAPES: dict[str, list[Points]] = {
    "circle": [regular(48)],
    "square": [regular(4)],
    "triangle": [regular(3)],
    "star": [regular(5, 0.45)],
    "cross": [bars((-1, -0.3, 1, 0.3)), bars((-0.3, -1, 0.3, 1))],
    "hexagon": [regular(6)],
    "crescent": [crescent()],
    "bar": [bars((-1, -0.28, 1, 0.28))],
    "angle": [bars((-0.9, 0.35, 0.9, 0.9)), bars((-0.9, -0.9, -0.35, 0.9))],
    "tee": [bars((-0.9, -0.9, 0.9, -0.4)), bars((-0.25, -0.9, 0.25, 0.9))],
}


TEXTURES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "stripes": lambda u, _: np.sin(u),
    "checks": lambda u, v: np.sign(np.sin(u) * np.sin(v)),
    "dots": lambda u, v: np.where(np.cos(u) + np.cos(v) > 0.8, 1.0, -1.0),
    "waves": lambda u, v: np.sin(u + 1.6 * np.sin(v / 2)),
}


def coloured_shapes(folder: Path, images: int = 2000, seed: int = 0, side: int = 64, classes: int = 5) -> Path:
    """Shapes of any colour on a plain ground of any other colour, by turns in JPEG and PNG files."""
    names = list(SHAPES)[:classes]

    def draw(random: Random, name: str) -> Image.Image:
        ground, colour = two_colours(random)
        picture = Image.new("RGB", (side * FINE, side * FINE), ground)
        paint(picture, random, name, colour)
        return picture.reduce(FINE)

    return write(folder, names, images, seed, draw)


def shapes_on_noise(folder: Path, images: int = 2000, seed: int = 0, side: int = 100, huge: int = 3024) -> Path:
    """Ten shapes before noise with the spectrum of photographs (1/f) under uneven light; one file has *huge* pixels.

    D. J. Field, Relations between the statistics of natural images and the response properties of cortical cells,
    J. Opt. Soc. Am. A 4 (1987) 2379-2394.
    """

    def draw(random: Random, name: str) -> Image.Image:
        ground = natural_noise(random, side)
        picture = Image.fromarray(ground).resize((side * FINE, side * FINE))
        paint(picture, random, name, contrasting(random, ground.mean(axis=(0, 1))))
        lit = np.asarray(picture.reduce(FINE)) * light(random, side)[..., None]
        grained = lit + random.normal(0, 4, lit.shape)
        return Image.fromarray(np.clip(grained, 0, 255).astype(np.uint8))

    write(folder, list(SHAPES), images, seed, draw, suffixes=(".jpg",))
    if huge:
        first = min((folder / "circle").iterdir())
        with Image.open(first) as picture:
            picture.resize((huge, huge)).save(first, quality=80)
    return folder


def grey_textures(folder: Path, images: int = 1000, seed: int = 0, side: int = 96) -> Path:
    """Four textures in grey: stripes, checks, dots and waves, of any direction, scale and contrast."""

    def draw(random: Random, name: str) -> Image.Image:
        turn, period = random.uniform(0, math.pi), random.uniform(7, 16)
        y, x = np.mgrid[:side, :side] * (2 * math.pi / period)
        u, v = (x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn))
        u, v = u + random.uniform(0, 6.28), v + random.uniform(0, 6.28)
        pattern = TEXTURES[name](u, v)
        low = random.uniform(0, 120)
        high = random.uniform(low + 60, 255)
        grey = low + (high - low) * (pattern + 1) / 2 + random.normal(0, 12, pattern.shape)
        return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))

    return write(folder, list(TEXTURES), images, seed, draw)


def write(
    folder: Path,
    names: list[str],
    images: int,
    seed: int,
    draw: Callable[[Random, str], Image.Image],
    suffixes: tuple[str, ...] = (".jpg", ".png"),
) -> Path:
    """Write *images* images to FOLDER/CLASS/, the classes by turns; image k depends on *seed* and k alone."""
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for k in range(images):
        name, suffix = names[k % len(names)], suffixes[k % len(suffixes)]
        picture = draw(np.random.default_rng([seed, k]), name)
        picture.save(folder / name / f"{k:05d}{suffix}", quality=90)
    return folder


def paint(picture: Image.Image, random: Random, name: str, colour: tuple[int, ...]) -> None:
    """Draw the shape *name* once, whole, of any size and position, turned by up to 30 degrees to either side."""
    side = picture.width
    radius, turn = side * random.uniform(0.18, 0.42), math.radians(random.uniform(-30, 30))
    x, y = random.uniform(radius, side - radius, 2)
    cos, sin = radius * math.cos(turn), radius * math.sin(turn)
    draw = ImageDraw.Draw(picture)
    for outline in SHAPES[name]:
        draw.polygon([(x + cos * u - sin * v, y + sin * u + cos * v) for u, v in outline], fill=colour)


def two_colours(random: Random) -> tuple[tuple[int, ...], tuple[int, ...]]:
    ground = random.integers(0, 256, 3)
    return tuple(map(int, ground)), contrasting(random, ground)


def contrasting(random: Random, ground: NDArray[np.generic]) -> tuple[int, ...]:
    """A colour that differs from *ground*, RGB, by 110 of 255 or more in all three together."""
    while True:
        colour = random.integers(0, 256, 3)
        if np.linalg.norm(colour - ground.astype(np.float64)) >= 110:
            return tuple(map(int, colour))


def natural_noise(random: Random, side: int) -> NDArray[np.uint8]:
    """RGB (side, side, 3): noise whose amplitude falls as 1/f, the three channels correlated."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = np.inf
    layers = []
    for _ in range(4):
        spectrum = np.fft.rfft2(random.normal(size=(side, side))) / frequency
        layer = np.fft.irfft2(spectrum, (side, side))
        layers.append(layer / layer.std())
    grey = layers[3]
    mean, contrast = random.uniform(70, 185, 3), random.uniform(12, 32)
    pixels = np.stack([mean[c] + contrast * (0.8 * grey + 0.6 * layers[c]) for c in range(3)], axis=-1)
    clipped: NDArray[np.uint8] = np.clip(pixels, 0, 255).astype(np.uint8)
    return clipped


def light(random: Random, side: int) -> Floats:
    """(side, side): brightness that changes along a random direction, by a factor of up to two."""
    y, x = np.mgrid[:side, :side] / (side - 1) - 0.5
    turn, strength = random.uniform(0, 2 * math.pi), random.uniform(0, 0.7)
    slope: Floats = x * math.cos(turn) + y * math.sin(turn)
    return random.uniform(0.7, 1.15) * (1 + strength * slope)
