"""Importing a large library in half the time."""

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def importing(name: str, *, without: tuple[str, ...] = ()) -> Iterator[None]:
    """Have the block import the library *name* quickly; where it is loaded already, nothing is done.

    *without*: modules that it imports only where they are installed; those that are not loaded yet look as if they
    were not. None in sys.modules does that: https://docs.python.org/3/reference/import.html#the-module-cache
    Nor is garbage searched for among the hundreds of thousands of objects that are made and stay: neither now nor
    later, when searching them all at the process's end would take a second (https://docs.python.org/3/library/gc.html).
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
