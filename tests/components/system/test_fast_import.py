"""Importing: what is hidden for speed is hidden from one library, for one import."""

import subprocess
import sys

from components.system.fast_import import importing

CHECK = """
import gc, json, sys
from components.system.tensorflow import tensorflow
tensorflow()
skipped = [name for name in ("sklearn", "matplotlib", "pandas") if name in sys.modules]
frozen, collecting = gc.get_freeze_count(), gc.isenabled()
import matplotlib, pandas, sklearn
print(json.dumps([skipped, frozen > 100_000, collecting]))
"""


def test_keras_comes_without_what_nothing_here_uses() -> None:
    """Its optional libraries stay unloaded and can be imported afterwards; garbage is collected again."""
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=True)
    assert done.stdout == "[[], true, true]\n"


def test_a_library_that_is_loaded_hides_nothing() -> None:
    """What other code in the process uses is not touched by a second import."""
    with importing("sys", without=("colorsys",)):
        import colorsys
    with importing("nowhere", without=("sys", "turtle")):
        assert sys.modules["sys"] is sys
        assert sys.modules["turtle"] is None
    assert "turtle" not in sys.modules
    assert colorsys
