"""Versions of installed distributions, without importing them."""

import os
import re
import sys
from contextlib import suppress
from functools import cache


def version(distribution: str) -> str:
    """The installed version of *distribution*; raises importlib.metadata.PackageNotFoundError.

    It is read from the name of the folder NAME-VERSION.dist-info: importlib.metadata parses a file of hundreds of lines
    for each distribution, which took a quarter of a run with nothing to do.
    """
    if known := _installed().get(_normalized(distribution)):
        return known
    from importlib import metadata

    return metadata.version(distribution)


def distribution_of(package: str) -> str | None:
    """The distribution that the top-level *package* came with ("cv2": "opencv-python"), None where none says so."""
    if (name := _normalized(package)) in _installed():
        return name
    from importlib import metadata

    return next(iter(sorted(metadata.packages_distributions().get(package, []))), None)


@cache
def _installed() -> dict[str, str]:
    """Normalized name -> version; the first folder of sys.path that has a distribution wins, as for imports."""
    versions: dict[str, str] = {}
    for folder in reversed(sys.path):
        with suppress(OSError):  # a folder that is not there, or a zip file
            for entry in os.listdir(folder or "."):  # noqa: PTH208 (names are wanted)
                name, separator, rest = entry.partition("-")
                if separator and rest.endswith(".dist-info"):
                    versions[_normalized(name)] = rest.removesuffix(".dist-info")
    return versions


def _normalized(name: str) -> str:
    """The spelling under which names are compared: https://packaging.python.org/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()
