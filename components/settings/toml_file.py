"""A settings file: TOML in UTF-8, with every setting under the name of its section."""

import tomllib
from pathlib import Path

from components.errors import ConfigError


def read(file: Path, named: str) -> dict[str, dict[str, object]]:
    """The sections of *file*, which messages call *named*; raises FileNotFoundError, or ConfigError."""
    try:
        content = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"the settings file {named} is not UTF-8 ({error.reason} at byte {error.start}); save it in that encoding"
        ) from None
    except RecursionError:
        raise ConfigError(f"the settings file {named} cannot be read: it is nested too deeply") from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"the settings file {named} cannot be read: {error}") from None
    except ValueError:
        raise ConfigError(f"the settings file {named} cannot be read: a number in it has too many digits") from None
    for section, values in content.items():
        if not isinstance(values, dict):
            raise ConfigError(f"{named}: '{section}' is outside a section; write it under one, such as [train]")
    return content
