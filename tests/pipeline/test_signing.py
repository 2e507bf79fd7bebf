"""`sign`, and `verify` with a public key, on a registry of MLflow's."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.registry import exports, model_files, recorded_files
from components.registry.client import CHAMPION, Registry
from components.registry.model_version import MODEL_SHA256_TAG
from components.registry.signature import FILE
from pipeline.cli.main import main
from tests.support.signing_keys import key_pair

NAME = "m"
FILES = {"MLmodel": b"described", model_files.MODEL_FILE: b"the model"}
MODEL_SHA256 = hashlib.sha256(b"the model").hexdigest()

Said = Callable[[], str]


@pytest.fixture
def registry(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """With the versions 1, the champion, and 2; their files are in `1` and `2` of a folder."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    shutil.copy(empty_database, tmp_path / "home" / "mlflow.db")
    registry = Registry(f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}")
    registry.create_model(NAME, "")
    for number in ("1", "2"):
        for name, content in FILES.items():
            (tmp_path / number / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / number / name).write_bytes(content)
        tags = {MODEL_SHA256_TAG: MODEL_SHA256, recorded_files.SHA256_TAG: recorded_files.write(tmp_path / number, {})}
        registry.client.create_model_version(NAME, (tmp_path / number).as_uri(), tags=tags)
    registry.set_alias(NAME, CHAMPION, "1")
    return registry


@pytest.fixture
def keys(tmp_path: Path) -> tuple[str, str]:
    private, public = key_pair(tmp_path)
    return str(private), str(public)


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Said:
    """What was printed since the last call, answers and errors."""
    return lambda: "".join(capfd.readouterr())


def test_a_signed_champion_is_verified_until_one_of_its_files_changes(
    registry: Registry, keys: tuple[str, str], tmp_path: Path, said: Said
) -> None:
    """Also where whoever changed it wrote its record and the tag again: by the key alone."""
    assert main(["sign", "--key", keys[0]]) == 0
    assert said().startswith("version 1 of m is signed, 3 files; ")
    assert main(["verify", "--key", keys[1]]) == 0
    assert said() == (
        "1 of 2 registered models have a valid signature by this key; without a signature: m/2\n"
        "0 artifacts and 2 registered models read, 0 damaged\n"
    )
    (tmp_path / "1" / "MLmodel").write_text("another loader")
    registry.set_tag(NAME, "1", recorded_files.SHA256_TAG, recorded_files.write(tmp_path / "1", {}))
    assert main(["verify"]) == 0
    assert main(["verify", "--key", keys[1]]) == 1
    assert (
        "version 1 of m in the registry: its files are not those that were signed: changed: MLmodel, SHA256SUMS; if "
        "that was your change, sign it again: python -m pipeline sign 1 --name m --key FILE\n"
    ) in said()


def test_a_champion_without_a_signature_fails_where_a_key_is_set(
    registry: Registry, keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    """As an unattended check has it: from the environment. A program sees each version's state."""
    monkeypatch.setenv("PIPELINE_PUBLIC_KEY", keys[1])
    assert main(["sign", "2", "--json", "--key", keys[0]]) == 0
    assert json.loads(said()) == {"name": NAME, "version": "2", "signature": FILE, "files": 3}
    assert main(["verify"]) == 1
    assert "version 1 of m in the registry is the champion and has no signature; if it is yours: " in said()
    assert main(["verify", "--quick", "--json"]) == 1
    rows = {row["key"]: (row["signature"], bool(row["problem"])) for row in json.loads(said())}
    assert rows == {"m/1": ("missing", True), "m/2": ("valid", False)}


def test_a_signature_that_cannot_be_looked_for_is_no_success(
    keys: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    """MLflow is away: without a key a warning, with one a failure."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert main(["verify"]) == 0
    assert "warning: the registry is not verified" in said()
    assert main(["verify", "--key", keys[1]]) == 1
    assert "error: MLflow at http://127.0.0.1:9 did not answer" in said()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: (folder / model_files.MODEL_FILE).write_text("other"), "data/model.keras was changed, it has"),
        (lambda folder: (folder / "MLmodel").unlink(), "MLmodel is missing; nothing was signed"),
        (lambda folder: (folder / "new").touch(), "new was added; nothing was signed"),
        (shutil.rmtree, "cannot be signed: its files are missing"),
    ],
    ids=["changed", "missing", "added", "all"],
)
def test_what_verify_would_report_is_not_signed(
    registry: Registry,
    keys: tuple[str, str],
    tmp_path: Path,
    said: Said,
    change: Callable[[Path], object],
    sentence: str,
) -> None:
    change(tmp_path / "1")
    assert main(["sign", "1", "--key", keys[0]]) == 1
    assert sentence in said()
    assert not (tmp_path / "1" / FILE).exists()


def test_neither_damaged_exports_nor_another_program_s_version_are_signed(
    registry: Registry, keys: tuple[str, str], said: Said, tmp_path: Path
) -> None:
    registry.set_tag(NAME, "1", exports.SHA256_TAG, "0" * 64)
    assert main(["sign", "1", "--key", keys[0]]) == 1
    assert "model_info.json cannot be read" in said()
    registry.client.create_model_version(NAME, (tmp_path / "2").as_uri())
    assert main(["sign", "3", "--key", keys[0]]) == 2
    assert "version 3 of m in the registry was registered by another program" in said()


def test_the_password_of_a_key_comes_from_the_environment_where_no_terminal_is(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    private, public = key_pair(tmp_path, password=b"secret")
    assert main(["sign"]) == 2
    assert "sign needs --key FILE, a private key; to make one: openssl ecparam " in said()
    assert main(["sign", "--key", str(private)]) == 2
    assert "is encrypted, and no terminal is here to ask: set PIPELINE_KEY_PASSWORD" in said()
    monkeypatch.setenv("PIPELINE_KEY_PASSWORD", "secret")
    assert main(["sign", "--key", str(private)]) == 0
    assert main(["verify", "--key", str(public)]) == 0
    assert "secret" not in said()
