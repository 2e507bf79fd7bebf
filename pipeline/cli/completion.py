"""Completion by the shell: argcomplete knows commands, options and stages from the parser; the rest comes from here.

Each function gets the text before the cursor and returns candidates; argcomplete keeps those that begin with it.
"""

from collections.abc import Iterable


def sources(prefix: str) -> Iterable[str]:
    from argcomplete.completers import DirectoriesCompleter

    from components.ingest import select

    names = [name.removesuffix("NAME").removesuffix("BUCKET/PREFIX") for name in select.names()]
    return ["auto", *names, *DirectoriesCompleter()(prefix)]


def settings_files(prefix: str) -> Iterable[str]:
    """The profiles by name, and files."""
    from argcomplete.completers import FilesCompleter

    from pipeline import config

    return [*config.profiles(), *FilesCompleter(("toml",))(prefix)]


def settings(prefix: str) -> Iterable[str]:
    """Names with "=", and after a name its choices where it has any."""
    from pipeline.config import SETTINGS

    name, equals, _ = prefix.partition("=")
    if not equals:
        return [f"{name}=" for name in SETTINGS]
    spec = SETTINGS.get(name)
    choices = spec.metadata["choices"] or (("true", "false") if isinstance(spec.default, bool) else ()) if spec else ()
    return [f"{name}={choice}" for choice in choices]


def runs(prefix: str) -> Iterable[str]:
    from pipeline.home import Home

    return [folder.name for folder in Home.from_environment().runs.glob("*") if folder.name.startswith(prefix)]


def models(prefix: str) -> Iterable[str]:
    """The registered models whose files are in the workspace."""
    from pipeline.home import Home

    return [folder.name for folder in Home.from_environment().exports.glob("*") if folder.name.startswith(prefix)]


def versions(prefix: str) -> Iterable[str]:
    return ("champion", "challenger")
