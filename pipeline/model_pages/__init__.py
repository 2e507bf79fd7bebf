"""Pages about the registered models: their history, two versions side by side."""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
