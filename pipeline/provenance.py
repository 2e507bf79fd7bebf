"""What a version is made from and with: gathered where it is registered, and read again where it is reproduced.

externalParameters    settings: every setting as the run had it before the images decided about open ones
internalParameters    training: those of train as they were resolved; environments: what each stage was made with
resolvedDependencies  code (commit), changes, requirements.lock, images, corrections, teacher, weights, the files of a
                      user's networks, and the installed wheels
byproducts            the artifact of each stage: key, digest of its files, recipe
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from components.data.corrections import Corrections
from components.formatting import size
from components.progress import say
from components.public_text import public
from components.register import provenance
from components.register.provenance import FILES_DIGEST, Build, Resource
from components.settings.sections import Params
from components.system.environment import environment
from components.system.files import sha256_of_file
from components.system.source_code import source_file
from components.system.wheels import wheels
from pipeline import corrections as corrected
from pipeline import repository
from pipeline.config import flat
from pipeline.home import Home
from pipeline.repository import LOCK, ROOT, GitFailed
from pipeline.run_record import RunRecord, now
from pipeline.store.artifact import Artifact

LARGEST_CHANGES = 10_000_000  # bytes of a diff that is kept
LARGEST_TEXT = 1_000_000  # bytes of a diff that is kept as it is, legible in MLflow
PACKED = ".gz"
CODE, CHANGES, IMAGES, CORRECTIONS, NETWORK = "code", "changes", "images", "corrections", "network"
OF_TRAIN = ("teacher", "weights")  # further inputs of train: sha256 of a model file


def documents(params: Params, home: Home, record: RunRecord, made: Mapping[str, Artifact]) -> dict[str, bytes]:
    """provenance.json and the files that it names, for the model that the artifacts *made* (by stage) hold.

    *params* are the settings before the images decided about those that are left open.
    """
    files = kept(changes := _changes())
    corrections = corrected.as_of(params.ingest, home, made["ingest"].recipe["inputs"].get(corrected.INPUT, ""))
    if corrections and corrections.effective:
        files[provenance.CORRECTIONS] = "".join(_decisions(corrections)).encode()
    build = Build(
        run=record.run,
        started=record.started,
        finished=now(),
        versions={"python": environment()["python"]},
        external={"settings": public(flat(params))},
        internal={
            "training": {name: value for name, value in record.settings.items() if name.startswith("train.")},
            "environments": {stage: artifact.made.get("environment", {}) for stage, artifact in made.items()},
        },
        dependencies=list(_dependencies(record, made, changes, files)),
        byproducts=[_byproduct(artifact) for artifact in made.values()],
    )
    statement = provenance.statement(made["train"].files, build)
    return {provenance.FILE: provenance.text(statement), **files}


def lock_sha256(folder: Path = ROOT) -> str:
    """The sha256 of the lock in *folder*; "" where there is none, as beside an installed package."""
    lock = folder / LOCK
    return sha256_of_file(lock) if lock.is_file() else ""


def kept(changes: bytes) -> dict[str, bytes]:
    """The file that keeps *changes*, a diff: the same bytes each time, packed where it is long; none for no changes.

    Nor is there one for more than LARGEST_CHANGES, which is said.
    """
    if len(changes) > LARGEST_CHANGES:
        say(
            f"  the changes of the code since its commit have {size(len(changes))}, of which at most "
            f"{size(LARGEST_CHANGES)} are kept: `reproduce` cannot make this version again; commit changes before a "
            "run that is to be reproduced"
        )
        return {}
    if len(changes) > LARGEST_TEXT:
        return {provenance.CHANGES + PACKED: gzip.compress(changes, mtime=0)}
    return {provenance.CHANGES: changes} if changes else {}


def unpacked(name: str, content: bytes) -> bytes:
    """The content of the file *name* as it was before it was packed; b"" where it is damaged."""
    if not name.endswith(PACKED):
        return content
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, LARGEST_CHANGES)
    except zlib.error:
        return b""


def _changes() -> bytes:
    """What the code differs in from its commit; nothing where that cannot be known, which its commit says."""
    try:
        return repository.changes() if repository.is_checkout() else b""
    except GitFailed:
        return b""


def _decisions(corrections: Corrections) -> Iterator[str]:
    """The decisions about labels that change something, without who took them and when."""
    for image in corrections.effective:
        for decision in corrections.decisions[image]:
            if not decision.picture:
                yield json.dumps({"sha256": image, "old": decision.old, "new": decision.new}) + "\n"


def _dependencies(
    record: RunRecord, made: Mapping[str, Artifact], changes: bytes, files: Mapping[str, bytes]
) -> Iterator[Resource]:
    commit, _, dirty = record.git_commit.partition("+")
    if commit:
        yield Resource(CODE, {"gitCommit": commit}, annotations={"clean": not (dirty or changes)})
    if changes:
        yield _document(CHANGES, changes, next((name for name in files if name.startswith(provenance.CHANGES)), ""))
    if lock := lock_sha256():
        yield Resource(LOCK, {"sha256": lock})
    inputs = made["ingest"].recipe["inputs"]
    fingerprint = inputs["source"]
    yield Resource(IMAGES, {"fingerprint": fingerprint}, annotations={"source": record.source})
    if corrected.INPUT in inputs:
        lines = files.get(provenance.CORRECTIONS, b"")
        digest = {"decisions": inputs[corrected.INPUT]} | ({"sha256": sha256(lines).hexdigest()} if lines else {})
        yield Resource(CORRECTIONS, digest, annotations={"file": provenance.CORRECTIONS} if lines else {})
    for name in OF_TRAIN:
        if model := made["train"].recipe["inputs"].get(name):
            yield Resource(name, {"sha256": model})
    yield from _networks(made["train"])
    for wheel in wheels():
        yield Resource(wheel.name, uri=f"pkg:pypi/{wheel.name}@{wheel.version}", annotations={"tags": list(wheel.tags)})


def _document(name: str, content: bytes, file: str) -> Resource:
    where = {"file": file} if file else {"too_large": len(content)}
    return Resource(name, {"sha256": sha256(content).hexdigest()}, annotations=where)


def _networks(train: Artifact) -> Iterator[Resource]:
    """The files of a user's own networks."""
    for module in train.recipe["code"]:
        if module.partition(".")[0] not in repository.CODE and (file := source_file(module)):
            yield Resource(NETWORK, {"sha256": sha256_of_file(file)}, annotations={"module": module})


def _byproduct(artifact: Artifact) -> Resource:
    about: dict[str, Any] = {"key": artifact.key, "recipe": artifact.recipe}
    about |= {name: value for name, value in artifact.made.items() if name != "environment"}
    return Resource(artifact.stage, {FILES_DIGEST: artifact.digest}, annotations=about)
