"""Random changes of a file's bytes."""

import random
from collections.abc import Callable

MOST = 4  # changes of an input
EDGES = (0, 1, 127, 128, 255)
LONG = 2**16  # bytes

Change = Callable[[bytearray, random.Random, tuple[bytes, ...]], None]


def changed(content: bytes, rng: random.Random, words: tuple[bytes, ...] = ()) -> bytes:
    """*content* after one to MOST changes; *words* are some that its format knows."""
    result = bytearray(content)
    for _ in range(rng.randint(1, MOST)):
        rng.choice(CHANGES)(result, rng, words)
    return bytes(result)


def _place(content: bytearray, rng: random.Random) -> int:
    """Headers decide the most."""
    size = len(content) if rng.random() < 0.5 else min(len(content), 64)
    return rng.randrange(size) if size else 0


def _flip(content: bytearray, rng: random.Random, words: tuple[bytes, ...]) -> None:
    if content:
        content[_place(content, rng)] ^= 1 << rng.randrange(8)


def _edge(content: bytearray, rng: random.Random, words: tuple[bytes, ...]) -> None:
    if content:
        content[_place(content, rng)] = rng.choice(EDGES)


def _number(content: bytearray, rng: random.Random, words: tuple[bytes, ...]) -> None:
    place, size = _place(content, rng), rng.choice((2, 4, 8))
    value = rng.choice((0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), rng.randrange(2 ** (8 * size))))
    content[place : place + size] = value.to_bytes(size, rng.choice(("little", "big")))


def _cut(content: bytearray, rng: random.Random, words: tuple[bytes, ...]) -> None:
    place = _place(content, rng)
    del content[place : place + rng.randint(1, 32)]


def _truncate(content: bytearray, rng: random.Random, words: tuple[bytes, ...]) -> None:
    del content[rng.randint(0, len(content)) :]


def _repeat(content: bytearray, rng: random.Random, words: tuple[bytes, ...]) -> None:
    place = _place(content, rng)
    part = content[place : place + rng.randint(1, 64)]
    content[place:place] = part * rng.choice((1, 2, 50))
    del content[LONG + len(part) * 50 :]


def _insert(content: bytearray, rng: random.Random, words: tuple[bytes, ...]) -> None:
    place = _place(content, rng)
    content[place:place] = rng.choice(words) if words and rng.random() < 0.7 else rng.randbytes(rng.randint(1, 16))


CHANGES: tuple[Change, ...] = (_flip, _edge, _number, _cut, _truncate, _repeat, _insert)
