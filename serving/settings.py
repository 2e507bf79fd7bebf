"""The settings of the server: [serve] in the settings file, PIPELINE_SERVE_... in the environment, --set serve....

defaults < the file that PIPELINE_CONFIG or --config names < environment < --set
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from components.errors import ConfigError
from components.formatting import did_you_mean
from components.registry.address import expect_registry
from components.registry.database import address_of
from components.settings import toml_file
from components.settings.fields import parsed, variable
from components.settings.sections import Register, Serve
from components.system.files import expanded

SECTIONS = {"serve": {f.name: f for f in fields(Serve)}, "register": {f.name: f for f in fields(Register)}}
PROFILE = re.compile(r"[\w-]+")  # the name of a profile of the pipeline: none of them has a section [serve]
SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://")  # what Kubernetes writes into PIPELINE_SERVE_PORT for its services
LONGEST_TOKEN = 4096  # bytes


@dataclass(frozen=True)
class Settings:
    """Where the champion is found, and how it is served; *model* "" is the only one in the registry."""

    serve: Serve
    model: str
    token: str
    home: Path
    registry: str

    @property
    def log_folder(self) -> Path:
        return Path(self.serve.log_folder or self.home / "serving" / "requests")

    @property
    def report_folder(self) -> Path:
        return Path(self.serve.report_folder or self.home / "serving")


def read(file: str = "", overrides: Iterable[str] = (), environment: Mapping[str, str] | None = None) -> Settings:
    """The settings in effect; raises ConfigError with every problem."""
    environment = os.environ if environment is None else environment
    values = {
        **_from_file(file or environment.get("PIPELINE_CONFIG", "")),
        **dict(_from_environment(environment)),
        **dict(_from_overrides(overrides)),
    }
    serve = Serve(**{name.removeprefix("serve."): v for name, v in values.items() if name.startswith("serve.")})
    registered = Register(**({"name": values["register.name"]} if "register.name" in values else {}))
    home = Path(expanded(environment.get("PIPELINE_HOME") or "workspace")).absolute()
    registry = environment.get("MLFLOW_TRACKING_URI", "").strip()
    if registry:
        expect_registry(registry)
    return Settings(
        serve, serve.model or registered.name, _token(serve), home, registry or address_of(home / "mlflow.db")
    )


def _from_file(file: str) -> dict[str, Any]:
    path = Path(expanded(file))
    if not file or (PROFILE.fullmatch(file) and not path.is_file()):
        return {}
    try:
        sections = toml_file.read(path, file)
    except FileNotFoundError:
        raise ConfigError(f"there is no settings file {file}; give --config a TOML file that exists") from None
    return {
        f"{section}.{name}": value
        for section, known in SECTIONS.items()
        for name, value in sections.get(section, {}).items()
        if _expect_known(section, name, known)
    }


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for section, known in SECTIONS.items():
        for name, spec in known.items():
            text = environment.get(variable(f"{section}.{name}"))
            if text is not None and not SERVICE_LINK.match(text):
                yield f"{section}.{name}", parsed(spec, text)


def _from_overrides(overrides: Iterable[str]) -> Iterator[tuple[str, Any]]:
    for override in overrides:
        name, equals, text = override.partition("=")
        section, _, short = name.strip().partition(".")
        if not equals:
            raise ConfigError(f"--set {override} has no value; write it as --set serve.port=8001")
        known = SECTIONS.get(section, {})
        if _expect_known(section, short, known):
            yield name.strip(), parsed(known[short], text.strip())


def _expect_known(section: str, name: str, known: Mapping[str, object]) -> bool:
    if name in known:
        return True
    names = [f"serve.{setting}" for setting in SECTIONS["serve"]]
    hint = did_you_mean(f"{section}.{name}", names, cutoff=0.5) or f"the server has {', '.join(names)}"
    raise ConfigError(f"no setting of the server is called '{section}.{name}'; {hint}")


def _token(serve: Serve) -> str:
    """The token in the file that `serve.token_file` names, "" where it names none; raises ConfigError."""
    if not serve.token_file:
        return ""
    try:
        token = Path(serve.token_file).read_bytes()[:LONGEST_TOKEN].decode("ascii").strip()
    except OSError as error:
        raise ConfigError(f"serve.token_file {serve.token_file} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"the token in serve.token_file {serve.token_file} is not ASCII; write another one") from None
    if not token or not token.isprintable():
        raise ConfigError(f"serve.token_file {serve.token_file} holds no token; write one line of letters and digits")
    return token
