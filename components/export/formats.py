"""An export format: one module in components.export.writers, named as the format, that defines FORMAT.

Every exported model takes raw pixels, uint8 (N, H, W, C) 0..255, and returns probabilities (N, classes).
"""

from collections.abc import Callable, Container
from dataclasses import dataclass
from importlib import import_module

from components.settings.sections import FORMATS


@dataclass(frozen=True)
class Format:
    """How a model is exported in one format.

    path: file or folder in the artifact. runtime: what runs it (components.inference.runtimes). write: writes the
    source to a path and may return numbers for parity.json. distributions: the packages, beside TensorFlow, whose
    version can change the file or what is measured of it.
    exact: it computes in float32 what Keras computes, and must agree image by image. The others round their weights, so
    a class may change where two are about as probable, and only their accuracy is bounded; *remedy* is the advice where
    they lose too much of it. quantized: it answers in bytes, the probability times 256.
    """

    path: str
    runtime: str
    write: Callable[..., dict[str, float] | None]  # (components.export.source.Source, Path)
    distributions: tuple[str, ...] = ()
    exact: bool = False
    quantized: bool = False
    remedy: str = "leave it out of export.formats, or allow more with gate.max_export_loss"


def format_of(name: str) -> Format:
    """The format *name*, one of components.settings.sections.FORMATS; only its own module is imported."""
    form: Format = import_module(f"components.export.writers.{name}").FORMAT
    return form


def served(names: Container[str]) -> str:
    """The format of *names* that `predict` and the server run: the first that LiteRT reads; "" where there is none."""
    return next((name for name in FORMATS if name in names and format_of(name).runtime == "litert"), "")
