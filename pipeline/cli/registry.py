"""Commands on the registry: models, promote, rollback."""

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import ConfigError
from components.formatting import percent
from components.printed_commands import as_stored, with_interpreter
from components.public_text import public
from components.registry.approval import DECISIONS, now, readable
from components.settings.fields import shown
from components.settings.sections import registered_name
from components.system.streams import answer
from pipeline.cli.options import JSON, MODEL, NAME, Option, command, home
from pipeline.cli.output import accuracy, failures_printed, print_facts, print_json, print_table

if TYPE_CHECKING:
    from components.inference.shadow_counts import ShadowCounts
    from components.promote.by_hand import Publish
    from components.registry.client import Registry
    from components.registry.model_version import ModelVersion
    from pipeline.promotion_request import PromotionRequest

NOTHING = "nothing is registered yet; 'make pipeline' registers its model"
BY = Option("--by", default="", metavar="NAME", help="who decides, for the promotion log (default: USER@HOST)")
RUN = Option("--run", default="", metavar="ID", help="of Airflow, whose tasks may be repeated: move the champion once")


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
    counts = [_shadow_counts(version, versions) for version in versions]
    if options.json:
        print_json([_version_json(*each) for each in zip(versions, counts, strict=True)])
    elif not versions:
        raise ConfigError(NOTHING)
    else:
        head = ("model", "version", "aliases", "accuracy", "model sha256", "run")
        rows = [(*_version_row(version), _disagreements(each)) for version, each in zip(versions, counts, strict=True)]
        if any(counts):
            print_table((*head, "other answers than the champion's"), rows)
        else:
            print_table(head, (row[:-1] for row in rows))
    return 0


def _shadow_counts(version: "ModelVersion", versions: "Sequence[ModelVersion]") -> "ShadowCounts | None":
    """What the server counted of *version* while it was the challenger of the present champion of its model."""
    from components.inference import shadow_counts
    from components.registry.client import CHAMPION

    champions = (other for other in versions if other.name == version.name and CHAMPION in other.aliases)
    champion = next(champions, version)
    return shadow_counts.read(home().shadow, version.name, champion.version, version.version)


def _disagreements(counts: "ShadowCounts | None") -> str:
    """Such as "1 of 3,012 images (at most 0.16 % of all)"."""
    if not counts:
        return ""
    return f"{counts.disagreements:,} of {counts.images:,} images (at most {percent(counts.bound)} of all)"


def _version_json(version: "ModelVersion", counts: "ShadowCounts | None") -> dict[str, object]:
    sha256 = version.model_sha256
    shadow = counts and {"images": counts.images, "disagreements": counts.disagreements, "bound": counts.bound}
    return {
        "name": version.name,
        "version": version.version,
        "aliases": list(version.aliases),
        "accuracy": version.accuracy,
        "model_sha256": sha256,
        "digest": sha256,  # its name before; programs read it
        "run": run_of(version),
        "shadow": shadow,
    }


def _version_row(version: "ModelVersion") -> tuple[str, ...]:
    aliases = " ".join(f"@{alias}" for alias in version.aliases)
    shown = accuracy(version.accuracy)
    return version.name, version.version, aliases, shown, version.model_sha256[:16], run_of(version)


def run_of(version: "ModelVersion") -> str:
    from pipeline.mlflow_run import RUN_TAG

    return version.tags.get(RUN_TAG, "")


@command(
    "decide about a version that waits for it, or make any version champion manually",
    Option("version", nargs="?", default="", metavar="VERSION", help="a version's number (python -m pipeline models)"),
    Option(
        "--pending", action="store_true", help="list the versions about which somebody has to decide, and do nothing"
    ),
    Option("--approve", dest="decision", action="store_const", const="approve", help="make the version champion"),
    Option("--reject", dest="decision", action="store_const", const="reject", help="never promote it"),
    Option(
        "--hold", dest="decision", action="store_const", const="hold", help="leave it registered, to promote it later"
    ),
    Option("--force", action="store_true", help="make any version champion; no gate is checked"),
    Option("--reason", default="", metavar="TEXT", help="why, for the promotion log; required with --force"),
    BY,
    RUN,
    MODEL,
    JSON,
)
def promote(options: Namespace) -> int:
    """Bypasses every gate with --force, which requires a reason."""
    from components.promote.by_hand import decide, force

    as_stored(options.json)
    number, given, reason, who = options.version, options.decision, public(options.reason), _who(options)
    with failures_printed(options.json):
        _check_promote(options)
        if options.pending:
            return _list_pending(options)
        if options.force:
            return _move_champion(
                options, lambda of, name, log, publish: force(of, name, number, reason, who, log, options.run, publish)
            )
        return _move_champion(
            options, lambda of, name, log, publish: decide(of, name, number, given, reason, who, log, publish)
        )


def _check_promote(options: Namespace) -> None:
    """Raise ConfigError unless the options are one of the things that `promote` does."""
    if options.pending and not (options.version or options.decision or options.force):
        return
    if options.pending or not options.version or bool(options.decision) == options.force:
        raise ConfigError(
            "expected promote --pending, promote VERSION with one of --approve, --reject and --hold (of a version that "
            "waits for a decision), or python -m pipeline promote VERSION --force --reason TEXT (of any version)"
        )
    if options.force and not options.reason:
        raise ConfigError(
            "a manual promotion bypasses every gate: write python -m pipeline promote VERSION --force --reason TEXT"
        )


def _list_pending(options: Namespace) -> int:
    """Print each version that waits beside the champion, and how to decide."""
    from components.registry.client import Registry
    from pipeline.promotion_request import pending

    check_name(options.name)
    workspace = home()
    registry = Registry(workspace.tracking_uri)
    names = [options.name] if options.name else registry.names()
    requests = [request for name in names for request in pending(workspace, registry, name)]
    if options.json:
        print_json([asdict(request) for request in requests])
    elif not requests:
        answer("nobody has to decide about a version (promote.approval)")
    else:
        for request in requests:
            _print_request(request)
    return 0


def _print_request(request: "PromotionRequest") -> None:
    from pipeline.commands import pipeline_command

    head, *rows = request.table
    print_table((request.name, *head[1:]), rows)
    arguments = [request.version, "--name", request.name]
    commands = [("", pipeline_command("promote", *arguments, f"--{decision}")) for decision in DECISIONS]
    late = "it is rejected, as that is over" if request.until < now() else "then it is rejected"
    facts = [*request.differences, ("decide", f"until {readable(request.until)}; {late}"), *commands]
    print_facts((name, with_interpreter(text)) for name, text in facts)


@command(
    "restore the previous champion",
    Option("--to", default="", metavar="VERSION", help="a former champion (default: the one before the present)"),
    Option("--reason", default="rolled back manually", metavar="TEXT", help="why, for the promotion log"),
    BY,
    RUN,
    MODEL,
    JSON,
)
def rollback(options: Namespace) -> int:
    from components.promote.by_hand import rollback

    as_stored(options.json)
    reason, who, to, run = public(options.reason), _who(options), options.to, options.run
    with failures_printed(options.json):
        return _move_champion(
            options, lambda of, name, log, publish: rollback(of, name, reason, who, log, to, run, publish)
        )


def _who(options: Namespace) -> str:
    from components.registry.promotion_log import person

    return public(options.by) or person()


def _move_champion(options: Namespace, move: Callable[["Registry", str, Path, "Publish"], Mapping[str, object]]) -> int:
    """Move the alias by *move*, or decide not to, under the registry's lock; print the result."""
    from components.registry.client import Registry
    from pipeline.exports import exports_of
    from pipeline.store.disk_errors import storage_errors

    check_name(options.name)
    workspace = home()
    registry = Registry(workspace.tracking_uri)
    name = options.name or only(registry.names())
    exports = exports_of(workspace, registry)
    with workspace.lock(f"registry-{name}"), registry.snapshot(), storage_errors(workspace.root):
        facts = move(registry, name, workspace.promotions, exports.prepare)
        exports.follow(name)
    if options.json:
        version = registry.version(name, str(facts["version"]))
        about = {"digest": version.tags.get("train.digest", ""), "accuracy": version.accuracy} if version else {}
        print_json({**facts, **about})
    elif options.command == "promote" and not options.force and not facts["made"]:
        answer(f"version {facts['version']} of {name} is {facts['reason']}")
    else:
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
