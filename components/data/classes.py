"""Class names: two models may number their classes differently, so what they say is compared by name.

Standard library only: a run with nothing to do compares the names too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LISTED = 5


@dataclass(frozen=True)
class ClassChange:
    """The classes of two models by name: *both* know them, or they were *added* to the older one, or *removed*."""

    both: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @classmethod
    def between(cls, before: Sequence[str], after: Sequence[str]) -> "ClassChange":
        """From the classes *before* to those *after*, each in its own order."""
        old, new = set(before), set(after)
        return cls(
            both=tuple(name for name in after if name in old),
            added=tuple(name for name in after if name not in old),
            removed=tuple(name for name in before if name not in new),
        )

    def __bool__(self) -> bool:
        """Whether the names differ; their order does not count."""
        return bool(self.added or self.removed)


def quoted(names: Iterable[str]) -> str:
    """The first few of *names*: "'ant', 'bee'" or "'ant', 'bee', 'cat', 'dog', 'emu' and 3 more"."""
    listed = list(names)
    more = len(listed) - LISTED
    return ", ".join(map(repr, listed[:LISTED])) + (f" and {more:,} more" if more > 0 else "")


def counted(count: int) -> str:
    """ "1 class" or "12 classes"."""
    return "1 class" if count == 1 else f"{count:,} classes"
