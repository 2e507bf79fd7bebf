"""Fast imports: modules hidden for speed are hidden from one library, for one import."""

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


def test_keras_is_imported_without_its_optional_libraries() -> None:
    """They can be imported afterwards, and the garbage collector runs again."""
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=True)
    assert done.stdout == "[[], true, true]\n"


def test_an_import_of_a_loaded_library_hides_nothing() -> None:
    """Modules that other code of the process uses stay visible."""
    with importing("sys", without=("colorsys",)):
        import colorsys
    with importing("nowhere", without=("sys", "turtle")):
        assert sys.modules["sys"] is sys
        assert sys.modules["turtle"] is None
    assert "turtle" not in sys.modules
    assert colorsys
