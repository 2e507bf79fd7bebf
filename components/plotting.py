"""The palette of all figures, and the canvas that they are drawn on: equal numbers give equal bytes.

Blue is right, training or the ideal; orange is wrong, validation or the measured (the palette of Okabe and Ito, which
colour-blind readers can tell apart: https://jfly.uni-koeln.de/color/), and no two lines differ by colour alone.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, INK, PALE = "#0072B2", "#D55E00", "#222222", "#D9D9D9"
DOTS_PER_INCH = 192  # the page shows them at half of that, 96, for sharp screens
STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 10,
    "text.parse_math": False,  # a class may be called "$5"
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "savefig.dpi": DOTS_PER_INCH,
}


@contextmanager
def canvas(path: Path, width: float, height: float, *, constrained: bool = True) -> Iterator["Figure"]:
    """A figure of *width* by *height* inches, saved to *path* as PNG without matplotlib's version in it.

    *constrained*: matplotlib arranges the axes; otherwise they stay where they are put.
    """
    import matplotlib
    from matplotlib.figure import Figure  # not pyplot, which keeps global state and looks for a display

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # it draws a box
        matplotlib.rcdefaults()  # the style that a user has set up must not reach the bytes
        matplotlib.rcParams.update(STYLE)
        figure = Figure(figsize=(width, height), layout="constrained" if constrained else None)
        yield figure
        figure.savefig(path, format="png", metadata={"Software": None})


def short(name: str, most: int = 11) -> str:
    """*name*, cut to *most* characters."""
    return name if len(name) <= most else name[: most - 1] + "…"
