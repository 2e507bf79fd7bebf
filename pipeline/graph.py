"""The graph: every stage, what it reads, and whose verdict it needs.

    ingest -> validate -> normalize -> train -> evaluate -> register -> export -> promote

A stage *reads* the artifacts whose bytes its own bytes depend on; it comes *after* the stages whose check has to pass
first. The difference is what keeps a changed bound, or a new picture in the data report, from training again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter

TENSORFLOW = ("numpy", "tensorflow", "keras")
CONVERTERS = ("ai-edge-litert", "tf2onnx", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Stage:
    reads: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    runtime: tuple[str, ...] = ()  # distributions whose version can change the bytes
    effect: bool = False  # acts on the registry and leaves no artifact in the store

    @property
    def upstream(self) -> tuple[str, ...]:
        return (*self.reads, *self.after)


STAGES: dict[str, Stage] = {
    "ingest": Stage(runtime=("numpy", "pillow")),
    # matplotlib brings the font of the pictures
    "validate": Stage(reads=("ingest",), runtime=("numpy", "pillow", "matplotlib")),
    "normalize": Stage(reads=("ingest",), after=("validate",), runtime=("numpy",)),
    "train": Stage(reads=("normalize",), runtime=TENSORFLOW),
    "evaluate": Stage(reads=("normalize", "train"), runtime=(*TENSORFLOW, "matplotlib")),
    "register": Stage(reads=("normalize", "train", "evaluate"), effect=True),
    "export": Stage(reads=("normalize", "train"), after=("register",), runtime=(*TENSORFLOW, *CONVERTERS)),
    "promote": Stage(reads=("normalize", "train", "evaluate"), after=("register", "export"), effect=True),
}


@cache
def ancestors(stage: str) -> tuple[str, ...]:
    """Every stage that comes before *stage*, directly or not, in the order in which they run."""
    before: set[str] = set()
    pending = list(STAGES[stage].upstream)
    while pending:
        name = pending.pop()
        if name not in before:
            before.add(name)
            pending.extend(STAGES[name].upstream)
    return tuple(name for name in STAGES if name in before)


def edges() -> Iterator[tuple[str, str]]:
    """The fewest (from, to) pairs that give the order: an edge that a longer way implies is left out."""
    for name, stage in STAGES.items():
        for parent in dict.fromkeys(stage.upstream):
            if not any(parent in ancestors(other) for other in stage.upstream if other != parent):
                yield parent, name


def order() -> tuple[str, ...]:
    """The stages in an order in which they can run; raises graphlib.CycleError where there is none."""
    return tuple(TopologicalSorter({name: stage.upstream for name, stage in STAGES.items()}).static_order())
