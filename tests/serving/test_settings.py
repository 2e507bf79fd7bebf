"""The settings of the server, from the file, the environment and the command line."""

from pathlib import Path

import pytest

from components.errors import ConfigError
from serving import settings


def test_each_layer_overrides_the_one_before(tmp_path: Path) -> None:
    """File, environment, --set; the name of the model is register.name where serve.model is empty."""
    file = tmp_path / "settings.toml"
    file.write_text('[serve]\nport = 1\nhost = "::1"\nlog_days = 1\n[register]\nname = "pets"\n[train]\nepochs = 3\n')
    environment = {"PIPELINE_CONFIG": str(file), "PIPELINE_SERVE_PORT": "2", "PIPELINE_SERVE_LOG_DAYS": "2"}
    found = settings.read("", ["serve.port=3"], environment)
    assert (found.serve.port, found.serve.log_days, found.serve.host, found.model) == (3, 2.0, "::1", "pets")
    assert settings.read("", ["serve.model=cats"], environment).model == "cats"


def test_a_profile_of_the_pipeline_has_nothing_to_say() -> None:
    """PIPELINE_CONFIG=fast, by its bare name."""
    assert settings.read("", [], {"PIPELINE_CONFIG": "fast"}).serve.port == 8000


def test_what_kubernetes_sets_for_a_service_is_no_port() -> None:
    """PIPELINE_SERVE_PORT, for a service called pipeline-serve."""
    assert settings.read("", [], {"PIPELINE_SERVE_PORT": "tcp://10.0.0.1:80"}).serve.port == 8000


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["serve.port=0"], "serve.port is 0; expected 1 to 65535"),
        (["serve.prot=1"], "no setting of the server is called 'serve.prot'; did you mean 'serve.port'?"),
        (["train.epochs=3"], "no setting of the server is called 'train.epochs'; the server has serve.model,"),
        (["serve.port"], "--set serve.port has no value"),
        (["serve.origins=*"], "serve.origins is '*'; expected addresses without a path"),
        (["serve.token_file=/nowhere"], "serve.token_file /nowhere cannot be read (No such file or directory)"),
        (["serve.token_file=/dev/null"], "serve.token_file /dev/null holds no token"),
        (["serve.log_share=2"], "serve.log_share is 2.0; expected 0 to 1"),
    ],
)
def test_a_wrong_setting_is_told(overrides: list[str], words: str) -> None:
    """With the value and what was expected."""
    with pytest.raises(ConfigError) as raised:
        settings.read("", overrides, {})
    assert str(raised.value).startswith(words)


@pytest.mark.parametrize(
    ("file", "environment", "words"),
    [
        ("gone.toml", {}, "there is no settings file gone.toml"),
        ("", {"MLFLOW_TRACKING_URI": "databricks"}, "MLFLOW_TRACKING_URI is 'databricks'"),
    ],
)
def test_a_wrong_file_or_registry_is_told(file: str, environment: dict[str, str], words: str) -> None:
    """Before the server listens."""
    with pytest.raises(ConfigError, match=words):
        settings.read(file, [], environment)
