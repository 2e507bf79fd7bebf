"""The sha256 of each image file of a listing: 32 bytes an image, and a place in the order of the paths."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

BYTES = 32
DIGITS = 2 * BYTES
HEXADECIMAL = "0123456789abcdef"
UNKNOWN = "0" * DIGITS
NOTHING, DIGEST, TEXT = range(3)  # what is known of a file


def is_hash(text: str) -> bool:
    """Whether *text* is a sha256, and not why there is none."""
    return len(text) == DIGITS and is_hexadecimal(text)


def is_hexadecimal(text: str) -> bool:
    return not text.strip(HEXADECIMAL)


class ContentHashes(Mapping[str, str]):
    """path -> its sha256, in the order of the paths; of a file that cannot be read, why.

    *paths* are those of a listing, in its own order; a hash is "" until it is set.
    """

    def __init__(self, paths: Sequence[str], order: "array[int]") -> None:
        self._paths, self._order = paths, order
        self._digests = bytearray(BYTES * len(paths))
        self._texts = dict[int, str]()  # by index: what is no sha256
        self._states = bytearray(len(paths))  # NOTHING, DIGEST or TEXT

    def set(self, index: int, text: str) -> None:
        """Set what is known of the file with this *index* in the listing."""
        is_known = is_hash(text)
        self._states[index] = DIGEST if is_known else TEXT if text else NOTHING
        self._digests[BYTES * index : BYTES * (index + 1)] = bytes.fromhex(text) if is_known else bytes(BYTES)
        if self._states[index] == TEXT:
            self._texts[index] = text

    def set_all(self, indices: "array[int]", texts: Sequence[str | None]) -> None:
        """Set what is known of the files with these *indices*; nothing is known where it is None."""
        start, size = indices[0], len(indices)
        digits = [text or UNKNOWN for text in texts]
        together = "".join(digits)
        if set(map(len, digits)) == {DIGITS} and is_hexadecimal(together) and indices == _following(start, size):
            self._digests[BYTES * start : BYTES * (start + size)] = bytes.fromhex(together)
            self._states[start : start + size] = bytes(NOTHING if text is None else DIGEST for text in texts)
            return
        for index, text in zip(indices, texts, strict=True):
            self.set(index, text or "")

    def at(self, index: int) -> str:
        """What is known of the file with this *index* in the listing."""
        if self._states[index] != DIGEST:
            return self._texts[index] if self._states[index] == TEXT else ""
        return self._digests[BYTES * index : BYTES * (index + 1)].hex()

    def all_at(self, part: range) -> list[str]:
        """What is known of each of the files with these indices."""
        if self._states.count(DIGEST, part.start, part.stop) < len(part):
            return [self.at(index) for index in part]
        digits = self.digests(part).hex()
        return [digits[start : start + DIGITS] for start in range(0, len(digits), DIGITS)]

    def digests(self, part: range) -> bytes:
        """The 32 bytes of each of the files with these indices, zeros where no sha256 is known."""
        return bytes(self._digests[BYTES * part.start : BYTES * part.stop])

    def __getitem__(self, path: str) -> str:
        place = bisect_left(self._order, path, key=self._paths.__getitem__)
        if place == len(self._order) or self._paths[self._order[place]] != path:
            raise KeyError(path)
        return self.at(self._order[place])

    def __iter__(self) -> Iterator[str]:
        return (self._paths[index] for index in self._order)

    def __len__(self) -> int:
        return len(self._paths)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """As `items`, without a search for each path."""
        return ((self._paths[index], self.at(index)) for index in self._order)


def _following(start: int, size: int) -> "array[int]":
    return array("I", range(start, start + size))
