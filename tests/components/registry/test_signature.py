"""Signatures of a folder of files: real keys, real signatures, and what a check of them says."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from components.errors import ArtifactCorrupt, ConfigError
from components.registry import signature
from components.registry.signature import FILE, private_key, problem, public_key, sign
from tests.support.signing_keys import key_pair

FILES = ("MLmodel", "data/model.keras", "provenance.json")


def no_password() -> str:
    raise AssertionError("no password is asked for where the key is not encrypted")


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return key_pair(tmp_path)


@pytest.fixture
def signed(tmp_path: Path, keys: tuple[Path, Path]) -> Path:
    """A folder with FILES and their signature."""
    folder = tmp_path / "artifacts"
    for name in (*FILES, FILE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    assert sign(folder, private_key(keys[0], no_password), folder / FILE) == len(FILES)
    return folder


def test_what_was_signed_is_right_wherever_it_is_copied(signed: Path, keys: tuple[Path, Path]) -> None:
    """The folder may have another name there; signed again, it is right again."""
    assert problem(signed, keys[1]) == ""
    elsewhere = signed.rename(signed.with_name("copy"))
    assert problem(elsewhere, keys[1]) == ""
    sign(elsewhere, private_key(keys[0], no_password), elsewhere / FILE)
    assert problem(elsewhere, keys[1]) == ""


def test_each_file_that_is_not_as_it_was_signed_is_named(signed: Path, keys: tuple[Path, Path]) -> None:
    """Changed, missing and added ones; those of git, too, which the package leaves out. What MLflow adds is none."""
    (signed / "data/model.keras").write_text("data/model.kerat")
    (signed / "MLmodel").unlink()
    for number in range(4):
        (signed / f"new-{number}").touch()
    (signed / ".gitignore").touch()
    (signed / "signature" / "more").touch()
    for name in ("registered_model_meta", "code/__pycache__/class_probabilities.pyc"):
        (signed / name).parent.mkdir(parents=True, exist_ok=True)
        (signed / name).touch()
    assert problem(signed, keys[1]) == (
        "its files are not those that were signed: changed: data/model.keras; missing: MLmodel; "
        "added: .gitignore, new-0, new-1, new-2, new-3 and 1 more"
    )


def test_a_link_and_a_fifo_are_neither_signed_nor_right(signed: Path, keys: tuple[Path, Path]) -> None:
    """They may lead to another file tomorrow, or never end."""
    for name, make in (("link", lambda at: at.symlink_to("model.keras")), ("pipe", os.mkfifo)):
        make(signed / "data" / name)
        assert problem(signed, keys[1]).endswith(f"signed: data/{name} is a link or no regular file")
        with pytest.raises(ArtifactCorrupt, match=f"data/{name} is a link or no regular file, and cannot be signed"):
            sign(signed, private_key(keys[0], no_password), signed / FILE)
        (signed / "data" / name).unlink()
    assert problem(signed, keys[1]) == ""


def forged(bundle: bytes) -> bytes:
    """With the sha256 of another file in the statement."""
    document = json.loads(bundle)
    statement = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    statement["predicate"]["resources"][0]["digest"] = "00" * 32
    document["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (forged, "its signature is forged or damaged"),
        (lambda bundle: bundle[:1000], "its signature cannot be checked: "),
        (lambda bundle: b"\xff" + bundle, "its signature cannot be checked: "),
        (lambda _: b"{}", "its signature cannot be read: "),
        (lambda _: b"[" * 100_000, "its signature cannot be read: "),
        (lambda _: b"", "its signature cannot be checked: "),
    ],
    ids=["forged", "truncated", "no UTF-8", "empty object", "nested", "empty"],
)
def test_a_signature_that_is_none_is_a_sentence(
    signed: Path, keys: tuple[Path, Path], change: Callable[[bytes], bytes], sentence: str
) -> None:
    (signed / FILE).write_bytes(change((signed / FILE).read_bytes()))
    assert problem(signed, keys[1]).startswith(sentence)


def test_the_signature_of_another_key_is_refused(signed: Path, tmp_path: Path) -> None:
    """Also where the signature names the key that is asked for."""
    _, other = key_pair(tmp_path, "other")
    assert problem(signed, other) == f"its signature is by another key than {other}"
    stranger, _ = key_pair(tmp_path, "stranger")
    bundle = json.loads((signed / FILE).read_bytes())
    sign(signed, private_key(stranger, no_password), signed / FILE)
    bundle["dsseEnvelope"] = json.loads((signed / FILE).read_bytes())["dsseEnvelope"]
    (signed / FILE).write_text(json.dumps(bundle))
    assert problem(signed, tmp_path / "key.pub") == "its signature is forged or damaged"


def test_the_package_s_own_command_checks_it(signed: Path, keys: tuple[Path, Path]) -> None:
    """For whoever has the files and the public key, and not this pipeline."""
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(signed)]
    command += ["--signature", str(signed / FILE), "--public_key", str(keys[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_encrypted_key_signs_with_its_password_alone(signed: Path, tmp_path: Path) -> None:
    private, public = key_pair(tmp_path, "encrypted", password=b"caf\xc3\xa9")
    sign(signed, private_key(private, lambda: "café"), signed / FILE)
    assert problem(signed, public) == ""
    for wrong in ("coffee", ""):
        with pytest.raises(ConfigError, match=r"encrypted\.pem cannot be decrypted: the password is another one"):
            private_key(private, lambda wrong=wrong: wrong)  # type: ignore[misc]


@pytest.mark.parametrize("content", ["nothing", "text", "folder", "rsa", "k256", "other half"])
@pytest.mark.parametrize("half", ["private", "public"])
def test_a_file_that_is_no_key_is_a_sentence_with_the_command(half: str, content: str, tmp_path: Path) -> None:
    """Of openssl, which makes the right one."""
    file = tmp_path / "file"
    match content:
        case "text":
            file.write_text("secret")
        case "folder":
            file.mkdir()
        case "rsa" | "k256":
            file = key_pair(tmp_path, kind=content)[half == "public"]
        case "other half":
            file = key_pair(tmp_path)[half == "private"]

    def read() -> object:
        return private_key(file, no_password) if half == "private" else public_key(file)

    with pytest.raises(ConfigError) as error:
        read()
    expected = {"nothing": "No such file", "folder": "not a regular file", "other half": "expected "}
    assert str(file) in str(error.value)
    assert expected.get(content, f"holds no {half} key of an elliptic curve (secp256r1, ") in str(error.value)
    assert ("openssl e" in str(error.value)) or (half, content) == ("private", "other half")


@pytest.mark.parametrize(
    ("place", "missing", "advice"),
    [
        ("checkout", "OpenSSL", "cryptography: make setup installs them$"),
        ("wheel", "OpenSSL", r"python\S* -m pip install 'model-signing~=1\.1\.1' pyopenssl installs them$"),
        ("image", "OpenSSL pip", "neither they nor pip are in this environment. Run the command in a checkout"),
    ],
)
def test_without_the_packages_the_sentence_says_what_installs_them(
    place: str, missing: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place != "checkout":
        monkeypatch.setattr(signature, "CODE", tmp_path)
    monkeypatch.setattr(signature, "find_spec", lambda name: None if name in missing.split() else signature)
    with pytest.raises(ConfigError, match=advice):
        public_key(key_pair(tmp_path)[1])
