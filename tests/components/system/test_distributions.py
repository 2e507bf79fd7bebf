"""Versions of distributions: the answer of importlib.metadata, at a fraction of its time."""

import subprocess
import sys
from importlib import metadata

import pytest

from components.system.distributions import version
from pipeline.graph import STAGES
from tests.conftest import ROOT

NAMES = sorted({name for stage in STAGES.values() for name in stage.runtime} - {"tensorflow"})


@pytest.mark.parametrize("name", [*NAMES, "Jinja2", "Apache_Airflow"])
def test_the_version_is_that_of_the_metadata(name: str) -> None:
    """For every distribution that is in a key, however its name is spelled."""
    assert version(name) == metadata.version(name)


def test_a_distribution_that_is_not_installed_raises() -> None:
    """As importlib.metadata does."""
    with pytest.raises(metadata.PackageNotFoundError):
        version("no-such-distribution")


def test_no_metadata_is_parsed() -> None:
    """Parsing them took 0.2 s of processor time."""
    script = "import sys; from components.system.distributions import version; version('numpy'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"importlib.metadata", "numpy"} & set(done.stdout.split())
