"""Commands that look after the workspace: verify, gc."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from components.errors import ArtifactCorrupt, ConfigError, RegistryUnreachable
from components.formatting import size
from components.progress import say
from components.registry.approval import held, waiting
from components.system.streams import answer
from pipeline.cli.options import JSON, Option, command, home
from pipeline.cli.output import print_json

if TYPE_CHECKING:
    from components.registry.model_version import ModelVersion
    from pipeline.garbage import Garbage
    from pipeline.home import Home
    from pipeline.store.local import Store


@command("read every stored byte again; exit status 1 where a file is damaged", JSON)
def verify(options: Namespace) -> int:
    workspace = home()
    store = workspace.store
    artifacts = [{"stage": stage, "key": key, "problem": _damage(store, stage, key)} for stage, key in store.list()]
    rows = [*artifacts, *_registered(workspace)]
    damage = [row["problem"] for row in rows if row["problem"]]
    if options.json:
        print_json(rows)
    else:
        models = f" and {count} registered models" if (count := len(rows) - len(artifacts)) else ""
        answer("\n".join([*damage, f"{len(artifacts)} artifacts{models} read, {len(damage)} damaged"]))
    return 1 if damage else 0


def _registered(workspace: "Home") -> list[dict[str, str]]:
    """A row for each version in the registry; none where MLflow does not answer, which is no damage."""
    from components.registry.client import Registry
    from pipeline.registered_files import damages

    rows: list[dict[str, str]] = []
    try:
        for version, problem in damages(Registry(workspace.tracking_uri)):
            rows.append({"stage": "register", "key": f"{version.name}/{version.version}", "problem": problem})
    except RegistryUnreachable as error:
        say(f"warning: the registry is not verified: {error}")
    return rows


def _damage(store: "Store", stage: str, key: str) -> str:
    """What is wrong with an artifact, "" for nothing."""
    try:
        if artifact := store.get(stage, key):
            store.verify(artifact)
    except ArtifactCorrupt as error:
        return str(error)
    return ""


@command(
    "delete what neither the champion, the challenger nor the last runs need",
    JSON,
    Option("--dry-run", action="store_true", help="only show what would be deleted"),
    Option("--keep", type=int, default=5, metavar="N", help="number of the last runs to keep (default: 5)"),
)
def gc(options: Namespace) -> int:
    from components.registry.client import Registry
    from pipeline import garbage

    if options.keep < 0:
        raise ConfigError(f"--keep is {options.keep}; expected a number of runs, 0 or more")
    workspace = home()
    registry = Registry(workspace.tracking_uri)
    versions = [version for name in registry.names() for version in registry.versions(name)]
    needed = [version.tags for version in versions if version.aliases or version in waiting(versions)]
    waste = garbage.find(workspace, needed, options.keep, _restorable(workspace, versions))
    if not options.dry_run:
        waste = garbage.collect(workspace, waste)
    if waste.in_use:
        say(f"  {waste.in_use} more artifacts stay: live processes use them")
    if options.json:
        copies = [str(folder) for folder in waste.copies]
        artifacts = [f"{stage}/{key}" for stage, key in waste.artifacts]
        print_json({"artifacts": artifacts, "copies": copies, "bytes": waste.bytes})
        return 0
    answer("\n".join(_lines(waste, "would free" if options.dry_run else "freed")))
    return 0


def _lines(waste: "Garbage", verb: str) -> Iterator[str]:
    """What goes, an artifact or a copy of images on each line, and how much that is."""
    yield from (f"{stage}/{key}" for stage, key in waste.artifacts)
    yield from (f"{folder} ({size(count)} of images, not read for a week)" for folder, count in waste.copies.items())
    copies = f" and {len(waste.copies)} {'copy' if len(waste.copies) == 1 else 'copies'} of images" * bool(waste.copies)
    yield f"{verb} {waste.bytes / 1e6:,.1f} MB in {len(waste.artifacts)} artifacts{copies}"


def _restorable(workspace: "Home", versions: "Sequence[ModelVersion]") -> list[dict[str, str]]:
    """The tags of the *versions* that `rollback` can restore, and of those on hold."""
    from components.registry.promotion_log import Champion, champion_history, read

    names = {version.name for version in versions}
    champions = {(n, c) for n in names for c in champion_history(read(workspace.promotions, n))}
    on_hold = held(versions)
    return [v.tags for v in versions if (v.name, Champion.of(v)) in champions or v in on_hold]
