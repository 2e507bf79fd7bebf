"""The packages of a version are installed by its lock: what no longer exists is gone, what does not answer is not."""

import os
import platform
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from components.errors import ConfigError, Unavailable
from pipeline.reproduce import packages
from tests.pipeline.reproduce.test_inputs import NOBODY, made_of
from tests.support.unkind_servers import absent, serving

METADATA = "gone_of_test_packages-1.0.dist-info"
WHEEL = "gone_of_test_packages-1.0-py3-none-any.whl"

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """The packages of a lock that names one, from an index with *page* about it, or from the address *index*."""
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("PATH", f"{sys.base_prefix}/bin", prepend=os.pathsep)  # where uv finds the Python of the tests
    (tmp_path / "requirements.lock").write_text(f"gone-of-test-packages==1.0 --hash=sha256:{'0' * 64}\n")

    def act(page: str = "", index: str = "", python: str = platform.python_version()) -> Path:
        project = tmp_path / "index/gone-of-test-packages"
        project.mkdir(parents=True)
        (project / "index.html").write_text(f"<html><body>{page}</body></html>")
        with zipfile.ZipFile(project / WHEEL, "w") as wheel:
            wheel.writestr(f"{METADATA}/METADATA", "Metadata-Version: 2.1\nName: gone-of-test-packages\nVersion: 1.0\n")
            wheel.writestr(f"{METADATA}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{METADATA}/RECORD", "")
        monkeypatch.setenv("UV_DEFAULT_INDEX", index or (tmp_path / "index").as_uri())
        return packages.interpreter(made_of(python=python), tmp_path, tmp_path / "environment")

    return act


def test_a_package_that_the_index_no_longer_lists_is_gone(install: Install) -> None:
    with pytest.raises(ConfigError, match=r"packages of version 3 of m are gone: .*gone-of-test-packages==1\.0"):
        install()


def test_a_wheel_that_the_index_lists_and_has_not_is_gone(install: Install) -> None:
    with serving(absent) as address, pytest.raises(ConfigError, match=rf"are gone: .*{WHEEL}"):
        install(f'<a href="{address}/{WHEEL}">{WHEEL}</a>')


def test_a_wheel_with_another_hash_is_not_the_one_of_the_lock(install: Install) -> None:
    with pytest.raises(ConfigError, match=r"are gone: .*Hash mismatch"):
        install(f'<a href="{WHEEL}">{WHEEL}</a>')


def test_a_python_that_nobody_has_is_gone(install: Install) -> None:
    with pytest.raises(ConfigError, match=r"Python or packages of version 3 of m are gone: .*3\.11\.99"):
        install(python="3.11.99")


def test_an_index_that_does_not_answer_may_answer_later(install: Install) -> None:
    with pytest.raises(Unavailable, match=r"cannot be installed: .*Failed to fetch"):
        install(index=NOBODY)
