"""Import a large library in half the time."""

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def importing(name: str, *, without: tuple[str, ...] = ()) -> Iterator[None]:
    """Let the block import the library *name* quickly; without effect where it is loaded already.

    *without* names optional dependencies: those that are not loaded yet look as if they were not installed, which None
    in sys.modules does (https://docs.python.org/3/reference/import.html#the-module-cache). The garbage collector skips
    the hundreds of thousands of objects that the import creates and keeps: now, and at the end of the process, where
    searching them would take a second (https://docs.python.org/3/library/gc.html#gc.freeze).
    """
    if name in sys.modules:
        yield
        return
    hidden = [module for module in without if module not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        for module in hidden:
            sys.modules.pop(module, None)
