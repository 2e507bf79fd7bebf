"""The signature of a registered version's files: made with a private key, checked with its public key, offline.

    the version's files
      MLmodel, data/model.keras, provenance.json, exports/...
      signature/
        model.sig     a sigstore bundle: an in-toto statement with the sha256 of each file above, and its signature

In the format of OpenSSF Model Signing, so that `model_signing verify key` checks it too. The package model-signing is
the extra `sign`; it takes a second to import, so only what signs or checks imports it.
"""

import base64
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import ArtifactCorrupt, ConfigError
from components.printed_commands import interpreter
from components.public_text import printable
from components.system.files import open_regular

if TYPE_CHECKING:
    from model_signing import hashing

FOLDER, NAME = "signature", "model.sig"
FILE = f"{FOLDER}/{NAME}"
UNSIGNED = (FILE, "registered_model_meta", "code/__pycache__")  # MLflow adds the latter where it loads a model
CURVES = ("secp256r1", "secp384r1", "secp521r1")
PACKAGES = ("model_signing", "OpenSSL", "cryptography")  # model-signing imports the second, and does not require it
MAKE_PRIVATE = "openssl ecparam -name prime256v1 -genkey -noout -out private.pem"
MAKE_PUBLIC = "openssl ec -in private.pem -pubout -out public.pem"
SHOWN = 5  # files that a sentence names
CODE = Path(__file__).parents[2]


@dataclass(frozen=True)
class PrivateKey:
    file: Path
    password: bytes | None = None  # None where the file is not encrypted


def private_key(file: Path, password: Callable[[], str]) -> PrivateKey:
    """The key in *file*, in PEM; *password* is called where it is encrypted.

    Raises ConfigError where there is no key that can sign.
    """
    content = _content(file, "private key", MAKE_PRIVATE)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if b"PUBLIC KEY-----" in content:
        raise ConfigError(f"{file} holds a public key, which signs nothing; expected the private key")
    opened, read = PrivateKey(file), None
    try:
        if b"ENCRYPTED" in content:  # of PKCS #8, and of the form before it
            opened = PrivateKey(file, password().encode())
        read = load_pem_private_key(content, opened.password)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        if opened.password is not None:
            raise ConfigError(f"the private key {file} cannot be decrypted: the password is another one") from None
    _expect_curve(file, read, "private key", MAKE_PRIVATE)
    return opened


def public_key(file: Path) -> Path:
    """*file*, which holds a public key in PEM; raises ConfigError where it holds none that can check a signature."""
    content = _content(file, "public key", MAKE_PUBLIC)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if b"PRIVATE KEY-----" in content:
        raise ConfigError(
            f"{file} holds a private key, which has to stay secret; expected the public key: {MAKE_PUBLIC}"
        )
    try:
        read: object = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        read = None
    _expect_curve(file, read, "public key", MAKE_PUBLIC)
    return file


def sign(folder: Path, key: PrivateKey, signature: Path) -> int:
    """Sign every file in *folder* but an older signature; write it to *signature*. The number of files signed.

    Raises ArtifactCorrupt where *folder* holds what is no file, such as a link.
    """
    from model_signing import signing

    if irregular := _irregular(folder):
        raise ArtifactCorrupt(f"{folder / irregular} is a link or no regular file, and cannot be signed: delete it")
    password: Any = key.password  # annotated as str, and taken as bytes alone
    signer = signing.Config().use_elliptic_key_signer(private_key=key.file, password=password)
    signer.set_hashing_config(_hashing()).sign(folder, signature)
    return len(_signed(signature))


def problem(folder: Path, key: Path) -> str:
    """What is wrong with the signature in *folder* by the public *key*, or with the files it is for; "" for nothing.

    A sentence whose subject is "its files" or "its signature".
    """
    from cryptography.exceptions import InvalidSignature
    from model_signing import verifying

    signature = folder / FILE
    if irregular := _irregular(folder):
        return f"its files are not those that were signed: {irregular} is a link or no regular file"
    try:
        with redirect_stdout(sys.stderr):  # a warning of the package about bundles of its first versions
            verifier = verifying.Config().use_elliptic_key_verifier(public_key=key)
            verifier.set_hashing_config(_hashing()).verify(folder, signature)
    except InvalidSignature:
        return "its signature is forged or damaged"
    except ValueError as error:
        if str(error).startswith("Key mismatch"):
            return f"its signature is by another key than {key}"
        if str(error).startswith("Signature mismatch"):
            return f"its files are not those that were signed: {_differences(folder, signature)}"
        return f"its signature cannot be checked: {_line(error)}"
    except (LookupError, TypeError, AttributeError, OSError, RecursionError) as error:
        return f"its signature cannot be read: {_line(error)}"
    return ""


def _irregular(folder: Path) -> str:
    """What the package refuses: the first entry below *folder* that is neither a file nor a folder; "" for none."""
    entries = sorted(folder.rglob("*"))
    return next((str(p.relative_to(folder)) for p in entries if p.is_symlink() or not (p.is_file() or p.is_dir())), "")


def _differences(folder: Path, signature: Path) -> str:
    """Such as "changed: MLmodel; missing: requirements.txt; added: exports/new.onnx"."""
    signed = _signed(signature)
    here = {each.identifier: each.digest.digest_hex for each in _hashing().hash(folder).resource_descriptors()}
    kinds = {
        "changed": sorted(name for name in signed.keys() & here.keys() if signed[name] != here[name]),
        "missing": sorted(signed.keys() - here.keys()),
        "added": sorted(here.keys() - signed.keys()),
    }
    return "; ".join(f"{what}: {_names(files)}" for what, files in kinds.items() if files)


def _names(files: Sequence[str]) -> str:
    more, shown = len(files) - SHOWN, [printable(name.replace("\n", "\\n")) for name in files[:SHOWN]]
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _signed(signature: Path) -> dict[str, str]:
    """The sha256 of each file, as *signature* says."""
    payload = json.loads(base64.b64decode(json.loads(signature.read_bytes())["dsseEnvelope"]["payload"]))
    return {each["name"]: each["digest"] for each in payload["predicate"]["resources"]}


def _hashing() -> "hashing.Config":
    """By file and sha256, all but UNSIGNED; files of git, too, which the package leaves out by itself."""
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=UNSIGNED, ignore_git_paths=False)


def _content(file: Path, what: str, command: str) -> bytes:
    """The bytes of the key in *file*; raises ConfigError where it cannot be read, or the packages are missing."""
    if any(find_spec(name) is None for name in PACKAGES):
        raise ConfigError(f"signatures need the packages model-signing, pyopenssl and cryptography: {_installed_by()}")
    try:
        with open_regular(file) as opened:
            return opened.read()
    except OSError as error:
        raise ConfigError(f"the {what} {file} cannot be read ({error.strerror}); to make one: {command}") from None


def _installed_by() -> str:
    """What installs PACKAGES for the code that runs here; nothing does in an image, which has no pip either."""
    if (CODE / "Makefile").is_file():
        return "make setup installs them"
    if find_spec("pip"):
        return f"{interpreter()} -m pip install 'model-signing~=1.1.1' pyopenssl installs them"
    return (
        "neither they nor pip are in this environment. Run the command in a checkout after make setup, with "
        "MLFLOW_TRACKING_URI, as it reads the same files from MLflow's server"
    )


def _expect_curve(file: Path, key: object, what: str, command: str) -> None:
    """Raise ConfigError unless *key*, as *file* holds it, is of one of CURVES."""
    curve = getattr(getattr(key, "curve", None), "name", "")
    if curve not in CURVES:
        raise ConfigError(
            f"{file} holds no {what} of an elliptic curve ({', '.join(CURVES)}) in PEM; to make one: {command}"
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
