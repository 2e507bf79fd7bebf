"""A workspace that has been used for years, made in seconds out of one that has run once.

Each copy of the run is a chain of its own: artifacts with other keys and digests that name each other as inputs, a
registered version whose tags name them, and a record of the run. The files are hard links, the rows are inserted.
"""

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from components.registry import promotion_log
from components.registry.client import CHAMPION
from components.registry.model_version import MODEL_SHA256_TAG
from components.registry.promotion_log import Champion
from components.system.canonical import checked, sha256, with_checksum
from components.system.files import sha256_of_file
from pipeline.home import Home
from pipeline.mlflow_run import RUN_TAG
from pipeline.run_record import RunRecord, load
from pipeline.store.artifact import MANIFEST, Manifest, digest_of, manifest_text, read_manifest
from pipeline.store.recipe import key

PROMOTED = 10  # each tenth version became champion
OWN = "copy.txt"  # the file by which the artifacts of a copy differ


@dataclass
class Chain:
    """What one copy of the run made, by stage."""

    number: int
    keys: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def run(self) -> str:
        return f"20200101-000000-{self.number:06x}"

    @property
    def model_sha256(self) -> str:
        return sha256(f"model {self.number}")


def crowd(home: Home, name: str, versions: int, runs: int, artifacts: int) -> None:
    """Let *home*, in which the model *name* has been registered once, hold so many of each."""
    record = next(record for folder in home.runs.glob("*") if (record := load(folder)))
    made = {done.stage: home.store.path(done.stage, done.key) for done in record.stages}
    made = {stage: path for stage, path in made.items() if path.is_dir()}
    chains = [Chain(number) for number in range(1, max(versions, runs, artifacts // len(made)))]
    for chain in chains[: artifacts // len(made) - 1]:
        for stage, path in made.items():
            _copy_artifact(stage, path, chain)
    _insert_versions(home, name, record, chains[: versions - 1])
    for chain in chains[: runs - 1]:
        _write_record(home, record, chain)


def _copy_artifact(stage: str, path: Path, chain: Chain) -> None:
    manifest = read_manifest((path / MANIFEST).read_bytes())
    recipe, files = manifest["recipe"], dict(manifest["files"])
    recipe["inputs"] = _inputs(recipe["inputs"], chain)
    copy = path.with_name(key(recipe))
    for name in files:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(path / name, copy / name)
    (copy / OWN).write_text(f"{chain.number}\n")
    files[OWN] = sha256_of_file(copy / OWN)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_577_836_800 + 60 * chain.number))
    copied: Manifest = {**manifest, "files": files, "digest": digest_of(files), "made": {"at": at, "run": chain.run}}
    (copy / MANIFEST).write_text(manifest_text(copied))
    chain.keys[stage], chain.digests[stage] = copy.name, copied["digest"]


def _inputs(inputs: Mapping[str, str], chain: Chain) -> dict[str, str]:
    """Those of the copied artifact: what the chain has made so far, and otherwise values of its own."""
    own = {"source": f"sha256:{sha256(str(chain.number))}", "version": str(chain.number + 1)}
    return {name: {**own, **chain.digests}.get(name, value) for name, value in inputs.items()}


def _insert_versions(home: Home, name: str, record: RunRecord, chains: list[Chain]) -> None:
    """Versions 2 and on of the model *name*, each with a run of MLflow; each tenth was champion for a while."""
    with closing(sqlite3.connect(home.root / "mlflow.db")) as database, database:
        version = _row(database, "model_versions", "name = ?", name)
        run = _row(database, "runs", "run_uuid = ?", str(version["run_id"]))
        tags = dict(database.execute("SELECT key, value FROM model_version_tags WHERE name = ?", (name,)).fetchall())
        for chain in chains:
            number, identity = chain.number + 1, sha256(chain.run)[:32]
            _insert(database, "runs", [run | {"run_uuid": identity, "name": chain.run}])
            _insert(database, "model_versions", [version | {"version": number, "run_id": identity}])
            columns = {"name": name, "version": number, "workspace": version["workspace"]}
            _insert(database, "model_version_tags", [columns | {"key": k, "value": v} for k, v in _tags(tags, chain)])
        last = chains[-1].number + 1
        moved = "UPDATE registered_model_aliases SET version = ? WHERE name = ? AND alias = ?"
        database.execute(moved, (last, name, CHAMPION))
    promoted = [chain for chain in chains if chain.number % PROMOTED == 0 or chain is chains[-1]]
    before = Champion("1", str(tags[MODEL_SHA256_TAG]))
    for champion in (Champion(str(chain.number + 1), chain.model_sha256) for chain in promoted):
        line = promotion_log.promotion(name, "promote", before, champion, "it is not worse", "ada@desk")
        promotion_log.append(home.promotions, line)
        before = champion


def _tags(tags: Mapping[str, str], chain: Chain) -> Iterator[tuple[str, str]]:
    own = {MODEL_SHA256_TAG: chain.model_sha256, RUN_TAG: chain.run}
    own |= {f"{stage}.key": name for stage, name in chain.keys.items()}
    own |= {f"{stage}.digest": digest for stage, digest in chain.digests.items()}
    yield from ({**tags, **{name: value for name, value in own.items() if name in tags}}).items()


def _row(database: sqlite3.Connection, table: str, where: str, value: str) -> dict[str, object]:
    found = database.execute(f"SELECT * FROM {table} WHERE {where}", (value,))  # noqa: S608 - names of this module
    return dict(zip((column[0] for column in found.description), found.fetchone(), strict=True))


def _insert(database: sqlite3.Connection, table: str, rows: list[dict[str, object]]) -> None:
    names, places = ", ".join(f'"{name}"' for name in rows[0]), ", ".join("?" * len(rows[0]))
    database.executemany(
        f"INSERT INTO {table} ({names}) VALUES ({places})",  # noqa: S608 - names of the database
        [tuple(row.values()) for row in rows],
    )


def _write_record(home: Home, record: RunRecord, chain: Chain) -> None:
    """The record and the report of the chain's run."""
    before, after = home.runs / record.run, home.runs / chain.run
    after.mkdir()
    document = checked((before / "run.json").read_bytes())
    document |= {"run": chain.run, "model": {**document["model"], "version": str(chain.number + 1), "aliases": []}}
    for done in document["stages"]:
        done["key"] = chain.keys.get(done["stage"], done["key"])
        done["digest"] = chain.digests.get(done["stage"], done["digest"])
    (after / "run.json").write_text(json.dumps(with_checksum(document), indent=2) + "\n")
    os.link(before / "report.html", after / "report.html")


def copy_of(home: Path, to: Path) -> Path:
    """A copy of a workspace, for a measurement that changes it: hard links, but for files that are written in place.

    And but for manifests: another link would change their status, and each would be parsed again, here and there.
    """
    written = (home, home / "artifacts" / ".leases")

    def copy(source: str, target: str) -> None:
        file = Path(source)
        (shutil.copy2 if file.parent in written or file.name == MANIFEST else os.link)(source, target)

    shutil.copytree(home, to, copy_function=copy, symlinks=True)
    return to
