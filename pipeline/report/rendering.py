"""Jinja, set up for the pages of the pipeline: each is one HTML file that needs no network."""

from pathlib import Path
from typing import TYPE_CHECKING

from components.formatting import label, percent, plain, points, sentence, size, thousands

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
FILTERS = (percent, points, thousands, size, plain, label, sentence)


def environment(folder: Path = TEMPLATES) -> "Environment":
    """Jinja for the templates in *folder*, and for what the pages share; unknown names are errors.

    Templates are compiled each time, in 0.05 s: Jinja's cache on disk has no checksum, and what it holds is executed.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # autoescape: the names of classes are names of folders, whatever they hold
    environment = Environment(
        loader=FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {function.__name__: function for function in FILTERS}
    return environment
