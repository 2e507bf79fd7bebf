"""Commands that look after the workspace: doctor, verify, gc."""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import ArtifactCorrupt, ConfigError, RegistryUnreachable
from components.formatting import size
from components.progress import say
from components.system.streams import answer
from pipeline.cli import signing
from pipeline.cli.options import JSON, Option, command, home
from pipeline.cli.output import print_json

if TYPE_CHECKING:
    from pipeline.home import Home
    from pipeline.housekeeping import Waste
    from pipeline.store.leases import Item
    from pipeline.store.local import Store


@command("say whether this machine, its disk and its registry are fit for runs; exit status 1 where not", JSON)
def doctor(options: Namespace) -> int:
    from dataclasses import asdict

    from pipeline.doctor import examine
    from pipeline.home import Home

    lines = examine(Home.from_environment())
    if options.json:
        print_json([asdict(line) for line in lines])
    else:
        answer("\n".join(f"{line.mark:<8} {line.check:<10} {line.sentence}" for line in lines))
    return 1 if any(line.mark == "error" for line in lines) else 0


@command(
    "read every stored byte again; exit status 1 where a file is damaged",
    JSON,
    Option(
        "--quick",
        action="store_true",
        help="look at names, sizes and times, and read only what differs from what they were",
    ),
    signing.CHECK,
)
def verify(options: Namespace) -> int:
    workspace = home()
    public_key = signing.public_key(options)
    store = workspace.store
    cache = workspace.cache if options.quick else None
    unsuspicious = _unsuspicious(workspace) if options.quick else set()
    artifacts = [
        {
            "stage": stage,
            "key": key,
            "problem": "" if (stage, key) in unsuspicious else _damage(store, stage, key, cache),
        }
        for stage, key in store.list()
    ]
    registered, published = _of_registry(workspace, public_key, quick=options.quick)
    rows = [*artifacts, *registered, *published]
    damage = [row["problem"] for row in rows if row["problem"]]
    if options.json:
        print_json(rows)
    else:
        counts = {"artifacts": artifacts, "registered models": registered, "published exports": published}
        numbers = [f"{len(found)} {what}" for what, found in counts.items() if found or what == "artifacts"]
        done = "looked at" if options.quick else "read"
        about = signing.summary(registered) if public_key else []
        answer("\n".join([*damage, *about, f"{' and '.join(numbers)} {done}, {len(damage)} damaged"]))
    return 1 if damage else 0


def _unsuspicious(workspace: "Home") -> set["Item"]:
    """The artifacts that look as they were published; what does not is read."""
    briefs, store, cache = workspace.store.briefs(), workspace.store, workspace.cache
    return {item for item, brief in briefs.items() if store.glance(*item, brief, cache)}


def _of_registry(
    workspace: "Home", key: Path | None, *, quick: bool
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """A row for each version in the registry, and for each published one; none where MLflow does not answer.

    That is no damage, unless signatures should be checked by the public *key*.
    """
    from components.registry.client import Registry
    from components.registry.recorded_files import SHA256_TAG
    from pipeline.exports import damages_of_exports
    from pipeline.registered_files import damages

    registry = Registry(workspace.tracking_uri)
    registered, published, unrecorded = list[dict[str, str]](), list[dict[str, str]](), 0
    try:
        for version, problem in damages(registry, quick=quick):
            registered.append({"stage": "register", "key": f"{version.name}/{version.version}", "problem": problem})
            unrecorded += SHA256_TAG not in version.tags
        if key:
            registered = signing.with_signatures(registered, registry, key)
        for version, problem in damages_of_exports(workspace, registry, quick=quick):
            published.append({"stage": "promote", "key": f"{version.name}/{version.version}", "problem": problem})
    except RegistryUnreachable as error:
        if key:
            raise
        say(f"warning: the registry is not verified: {error}")
    if unrecorded and not quick:
        say(f"note: {unrecorded} registered models are older than the record of their files: only model.keras was read")
    return registered, published


def _damage(store: "Store", stage: str, key: str, cache: Path | None) -> str:
    """What is wrong with an artifact, "" for nothing; with *cache* it is remembered how the files looked then."""
    try:
        if artifact := store.get(stage, key):
            if cache:
                store.check(artifact, cache)
            else:
                store.verify(artifact)
    except ArtifactCorrupt as error:
        return str(error)
    return ""


@command(
    "delete what neither the champion, the challenger nor the last runs need, and what is old",
    JSON,
    Option("--dry-run", action="store_true", help="only show what would be deleted"),
    Option("--keep", type=int, default=5, metavar="N", help="number of the last runs to keep (default: 5)"),
    Option(
        "--days", type=float, default=90, metavar="N", help="days after which runs and caches are old (default: 90)"
    ),
)
def gc(options: Namespace) -> int:
    from components.registry.client import Registry
    from pipeline import housekeeping

    if options.keep < 0:
        raise ConfigError(f"--keep is {options.keep}; expected a number of runs, 0 or more")
    if not options.days >= 0:
        raise ConfigError(f"--days is {options.days:g}; expected a number of days, 0 or more")
    workspace = home()
    if not workspace.root.is_dir():
        raise ConfigError(f"there is no workspace at {workspace.root}; set PIPELINE_HOME to the one to clean up")
    registry = Registry(workspace.tracking_uri)
    waste = housekeeping.find(workspace, registry, options.keep, options.days)
    if not options.dry_run:
        waste = housekeeping.collect(workspace, registry, waste, options.days)
    if waste.unneeded.in_use:
        say(f"  {waste.unneeded.in_use} more artifacts stay: live processes use them")
    disk = None if options.dry_run else housekeeping.measure(workspace)
    if options.json:
        print_json(_freed(waste) | ({"weeks": disk.weeks, "disk": str(disk)} if disk else {}))
        return 0
    lines = list(_lines(waste, "would free" if options.dry_run else "freed"))
    answer("\n".join([*lines, str(disk)] if disk else lines))
    return 0


def _freed(waste: "Waste") -> dict[str, object]:
    unneeded = waste.unneeded
    artifacts = [f"{stage}/{key}" for stage, key in unneeded.artifacts]
    paths = {"copies": [*map(str, unneeded.copies)], "old": [*map(str, waste.old)]}
    return {"artifacts": artifacts, **paths, "bytes": waste.bytes}


def _lines(waste: "Waste", verb: str) -> Iterator[str]:
    """What goes, an artifact, a copy of images or something old on each line, and how much that is."""
    artifacts, copies, old = waste.unneeded.artifacts, waste.unneeded.copies, waste.old
    yield from (f"{stage}/{key}" for stage, key in artifacts)
    yield from (f"{folder} ({size(count)} of images, not read for a week)" for folder, count in copies.items())
    yield from (f"{path} (old)" for path in old)
    counts = {"artifacts": len(artifacts), "copies of images": len(copies), "old runs, caches and logs": len(old)}
    counted = [f"{count} {what}" for what, count in counts.items() if count or what == "artifacts"]
    yield f"{verb} {waste.bytes / 1e6:,.1f} MB in {' and '.join(counted)}"
