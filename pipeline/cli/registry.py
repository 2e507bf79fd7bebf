"""Commands on the registry: models, promote, rollback."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import ConfigError
from components.public_text import public
from components.settings.fields import shown
from components.settings.sections import registered_name
from components.system.streams import answer
from pipeline.cli.options import JSON, MODEL, NAME, Option, command, home
from pipeline.cli.output import accuracy, print_json, print_table

if TYPE_CHECKING:
    from components.registry.client import Registry
    from components.registry.model_version import ModelVersion

NOTHING = "nothing is registered yet; 'make pipeline' registers its model"


def _reason(default: str = "") -> Option:
    return Option("--reason", default=default, metavar="TEXT", help="why, for the promotion log")


@command(
    "list the registered versions with their aliases and accuracy",
    JSON,
    NAME,
)
def models(options: Namespace) -> int:
    from components.registry.client import Registry

    check_name(options.name)
    registry = Registry(home().tracking_uri)
    names = [options.name] if options.name else registry.names()
    versions = [version for name in names for version in registry.versions(name)]
    if options.json:
        print_json([_version_json(version) for version in versions])
    elif not versions:
        raise ConfigError(NOTHING)
    else:
        print_table(("model", "version", "aliases", "accuracy", "model sha256", "run"), map(_version_row, versions))
    return 0


def _version_json(version: "ModelVersion") -> dict[str, object]:
    sha256 = version.model_sha256
    return {
        "name": version.name,
        "version": version.version,
        "aliases": list(version.aliases),
        "accuracy": version.accuracy,
        "model_sha256": sha256,
        "digest": sha256,  # its name before; programs read it
        "run": run_of(version),
    }


def _version_row(version: "ModelVersion") -> tuple[str, ...]:
    aliases = " ".join(f"@{alias}" for alias in version.aliases)
    shown = accuracy(version.accuracy)
    return version.name, version.version, aliases, shown, version.model_sha256[:16], run_of(version)


def run_of(version: "ModelVersion") -> str:
    from pipeline.mlflow_run import RUN_TAG

    return version.tags.get(RUN_TAG, "")


@command(
    "make a version champion manually",
    Option("version", metavar="VERSION", help="a version's number (python -m pipeline models)"),
    Option("--force", action="store_true", help="required: no gate is checked"),
    _reason(),
    MODEL,
)
def promote(options: Namespace) -> int:
    """Bypasses every gate, so it requires --force and a reason."""
    from components.promote.by_hand import force
    from components.registry.promotion_log import person

    if not options.force or not options.reason:
        raise ConfigError(
            "a manual promotion bypasses every gate: write python -m pipeline promote VERSION --force --reason TEXT"
        )
    return _move_champion(
        options.name,
        lambda registry, name, log: force(registry, name, options.version, public(options.reason), person(), log),
    )


@command("restore the previous champion", _reason("rolled back manually"), MODEL)
def rollback(options: Namespace) -> int:
    from components.promote.by_hand import rollback
    from components.registry.promotion_log import person

    return _move_champion(
        options.name, lambda registry, name, log: rollback(registry, name, public(options.reason), person(), log)
    )


def _move_champion(name: str, move: Callable[["Registry", str, Path], Mapping[str, object]]) -> int:
    """Move the alias by *move* under the registry's lock and print the result."""
    from components.registry.client import Registry

    check_name(name)
    workspace = home()
    registry = Registry(workspace.tracking_uri)
    name = name or only(registry.names())
    with workspace.lock(f"registry-{name}"), registry.snapshot():
        facts = move(registry, name, workspace.promotions)
    before = f"it was version {facts['before']}" if facts["before"] else "there was none before"
    answer(f"the champion of {facts['name']} is version {facts['version']} ({before})")
    print_class_change(*(registry.version(name, str(facts[which])) for which in ("before", "version")))
    return 0


def print_class_change(before: "ModelVersion | None", after: "ModelVersion | None") -> None:
    """Tell where the new champion knows other classes than the one before, as far as their names are known."""
    from components.data.classes import ClassChange, quoted
    from pipeline import model_classes

    store = home().store
    old, new = (model_classes.of_version(version, store) if version else None for version in (before, after))
    change = ClassChange.between(old or (), new or ()) if old and new else ClassChange()
    if change.added:
        answer(f"it knows {quoted(change.added)}, which the champion before did not")
    if change.removed:
        answer(f"it does not know {quoted(change.removed)}, which the champion before did")


def check_name(name: str) -> None:
    """Raise ConfigError where no registered model can have this *name*."""
    try:
        registered_name(name)
    except ValueError as error:
        raise ConfigError(f"the model's name is {shown(name)}; {error}") from None


def only(names: list[str]) -> str:
    """The one registered model; raises ConfigError where there are none or several."""
    if not names:
        raise ConfigError(NOTHING)
    if len(names) > 1:
        raise ConfigError(f"there are several registered models; add --name, one of {', '.join(names)}")
    return names[0]
