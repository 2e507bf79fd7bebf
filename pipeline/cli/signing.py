"""Command sign, and the check of signatures by verify."""

import os
import sys
from argparse import Namespace
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import ConfigError
from components.printed_commands import with_interpreter
from components.system.files import expanded
from components.system.streams import answer
from pipeline.cli.options import JSON, MODEL, Option, command, home
from pipeline.cli.output import failures_printed, print_json
from pipeline.cli.registry import check_name, only

if TYPE_CHECKING:
    from components.registry.client import Registry

PASSWORD = "PIPELINE_KEY_PASSWORD"  # noqa: S105 - the name of a variable
PUBLIC_KEY = "PIPELINE_PUBLIC_KEY"
SHOWN = 10  # versions without a signature that are named
CHECK = Option(
    "--key",
    default="",
    metavar="FILE",
    help=f"public key in PEM: check the signatures of the registered versions, too (${PUBLIC_KEY})",
)


@command(
    "sign the files of a registered version with a private key, offline; verify --key checks them with the public one",
    Option(
        "version",
        nargs="?",
        default="champion",
        metavar="VERSION",
        help="a version's number, or an alias (default: champion)",
    ),
    Option("--key", default="", metavar="FILE", help="private key of an elliptic curve, in PEM"),
    MODEL,
    JSON,
)
def sign(options: Namespace) -> int:
    from components.registry import signature
    from components.registry.client import Registry
    from pipeline.model_comparison import find
    from pipeline.signing import sign

    check_name(options.name)
    with failures_printed(options.json):
        workspace = home()
        if not options.key:
            raise ConfigError(f"sign needs --key FILE, a private key; to make one: {signature.MAKE_PRIVATE}")
        file = Path(expanded(options.key)).absolute()
        key = signature.private_key(file, lambda: _password(file))
        registry = Registry(workspace.tracking_uri)
        name = options.name or only(registry.names())
        with workspace.lock(f"registry-{name}"):
            version = find(registry, name, options.version)
            count = sign(registry, version, key)
    if options.json:
        print_json({"name": name, "version": version.version, "signature": signature.FILE, "files": count})
    else:
        check = with_interpreter("python -m pipeline verify --key PUBLIC_KEY")
        answer(f"version {version.version} of {name} is signed, {count} files; {check} checks them")
    return 0


def _password(file: Path) -> str:
    """The password of the private key in *file*: of the environment, or asked for on the terminal."""
    if PASSWORD in os.environ:
        return os.environ[PASSWORD]
    if not sys.stdin.isatty():
        raise ConfigError(f"the private key {file} is encrypted, and no terminal is here to ask: set {PASSWORD}")
    return getpass(f"password of {file}: ")


def public_key(options: Namespace) -> Path | None:
    """The public key that CHECK or the environment names; None for none. Raises ConfigError where it is no such key."""
    from components.registry import signature

    named = options.key or os.environ.get(PUBLIC_KEY, "")
    return signature.public_key(Path(expanded(named)).absolute()) if named else None


def with_signatures(rows: list[dict[str, str]], registry: "Registry", key: Path) -> list[dict[str, str]]:
    """The *rows* of verify about registered versions, with what became of their signatures by the public *key*."""
    from pipeline.signing import check

    checked = {f"{each.version.name}/{each.version.version}": each for each in check(registry, key)}
    signed = []
    for row in rows:
        answer = checked.get(row["key"])  # nothing for one that was deleted meanwhile
        problem = answer.problem if answer else ""
        state = "missing" if not (answer and answer.signed) else "invalid" if problem else "valid"
        signed.append({**row, "problem": row["problem"] or problem, "signature": state})
    return signed


def summary(rows: list[dict[str, str]]) -> list[str]:
    """How many of the registered versions have a signature that is right, and which have none."""
    if not rows:
        return []
    valid = sum(row["signature"] == "valid" for row in rows)
    missing = [row["key"] for row in rows if row["signature"] == "missing"]
    more = f" and {len(missing) - SHOWN:,} more" if len(missing) > SHOWN else ""
    without = f"; without a signature: {', '.join(missing[:SHOWN])}{more}" if missing else ""
    return [f"{valid} of {len(rows)} registered models have a valid signature by this key{without}"]
