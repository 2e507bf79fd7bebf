"""The settings of a run: the source "auto" becomes the one that is at hand."""

from pathlib import Path

import pytest

from components.ingest import select
from components.settings.sections import Ingest, Params
from pipeline import run_settings
from pipeline.home import Home
from pipeline.store.recipe import key, recipe_of

UNREACHABLE = "ingest.mirror=http://127.0.0.1:9/"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty workspace on a machine without MNIST."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("MNIST_DIR", raising=False)
    return Home(tmp_path)


def test_auto_falls_back_to_digits_with_a_notice(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """The registered name follows the source that was chosen."""
    params = run_settings.load([UNREACHABLE])
    assert (params.ingest.source, params.register.name) == ("digits", "digits-classifier")
    assert "THIS IS NOT MNIST" in capsys.readouterr().err


def test_auto_is_mnist_where_mnist_was_ingested(home: Home) -> None:
    """A workspace that trained on MNIST keeps using it when the network is down."""
    home.prepare()
    ingest = Ingest(source="mnist")
    recipe = recipe_of("ingest", Params(ingest=ingest), {}, select.fingerprint(ingest, home.cache), cache=home.cache)
    with home.store.draft("ingest", key(recipe)) as out:
        (out / "images").write_text("60,000")
        home.store.publish(out, recipe, {}, {"at": "", "run": "", "seconds": 0.0})
    assert run_settings.load([UNREACHABLE]).ingest.source == "mnist"


def test_the_settings_file_comes_from_the_environment(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """$PIPELINE_CONFIG, unless a file is named."""
    file = home.root / "settings.toml"
    file.write_text("[train]\nepochs = 77\n")
    monkeypatch.setenv("PIPELINE_CONFIG", str(file))
    assert run_settings.load(source="digits").train.epochs == 77
    assert run_settings.load(source="digits", file="fast").train.epochs != 77
