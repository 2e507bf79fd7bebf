"""The store in a bucket, for machines that share no disk: what one has published, all can use.

    s3://BUCKET/PREFIX/
      .created-once              empty: whether the server knows conditions was tried by it
      train/
        5f0c2d9a41b7e836/
          manifest.json          {"upload", "manifest": that of the artifact}; uploaded last, unless there is one
          3b1d0c55e2f84a60/      the upload that the manifest names
            model.keras ...
          91e7.../               the upload of a maker that was late, or died: swept when it is a day old

An object store has no rename, but it can create an object on the condition that none of that name exists, and it shows
an object whole or not at all: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
So each maker uploads its files under a name of their own, and the manifest decides which upload counts. A maker that
is killed, at whatever moment, leaves an upload that no manifest names. No lock is needed. A server that ignores the
condition would let machines replace each other's artifacts: it is found out before the first upload.

Stages read and write files, so the files that they need lie below $PIPELINE_HOME/artifacts too, laid out as in the
local store. A copy is valid while its digest is the one in the bucket; `verify` reads each byte and downloads a damaged
copy again. An intact copy that a live process reads stays, and `artifacts/.fetching/` holds a lock for each download.

What the bucket holds is not trusted: it may be shared with others, damaged, or no bucket at all.
"""

import contextlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import msgspec

from components.errors import ArtifactCorrupt, ConfigError, Unavailable
from components.progress import say
from components.system import locks
from components.system.canonical import checked, with_checksum
from components.system.files import sha256_of_file
from components.system.object_store import announced, code, file_system, pages, response
from components.system.object_store import failure as failure_of
from pipeline.graph import Facts
from pipeline.store.artifact import (
    CHANGED,
    MANIFEST,
    Artifact,
    Brief,
    Made,
    Manifest,
    corrupt,
    digest_of,
    read_manifest,
)
from pipeline.store.disk_errors import storage_errors
from pipeline.store.leases import Item
from pipeline.store.local import Store
from pipeline.store.names import is_artifact, strange, through_link, unsafe
from pipeline.store.recipe import Recipe, key

URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/\s?#]+)*/?")
TRIES = 3  # a download during which another machine replaces the artifact starts again
SETTING = "PIPELINE_STORE"
UPLOAD_DIED = timedelta(days=1)
YOUNG = timedelta(days=7)
LARGEST = 2**26  # bytes of a manifest: 500,000 files
EXISTS = ("PreconditionFailed", "412")  # how servers answer a conditional put
EMPTY = ("InvalidRange", "416")  # how servers answer where not even the first byte is there
CREATED_ONCE = ".created-once"  # an object that no server may create twice
UPLOAD = re.compile(r"[0-9a-f]{16}")


class Shared(msgspec.Struct, frozen=True):
    """The manifest in the bucket: that of the artifact, and the folder of its files. It carries its own checksum."""

    upload: Annotated[str, msgspec.Meta(pattern=f"^{UPLOAD.pattern}$")]
    manifest: Manifest


class SharedStore(Store):
    """The artifacts in a bucket, with copies below *root*.

    Raises ConfigError, here and in use, for a *url* that is malformed or leads nowhere, Unavailable without an answer.
    """

    withdrawn_at_once = 1  # the bucket answers in its own time

    def __init__(self, root: Path, url: str) -> None:
        super().__init__(root)
        if not URL.fullmatch(url):
            raise ConfigError(f"PIPELINE_STORE is {url!r}; expected s3://BUCKET or s3://BUCKET/PREFIX")
        self.url = url.rstrip("/")
        self._root = self.url.removeprefix("s3://")
        self._depth = self._root.count("/") + 1  # of an object's stage in its path

    @cached_property
    def _fs(self) -> Any:
        return file_system()

    def _place(self, stage: str, key: str, *more: str) -> str:
        return "/".join((self._root, stage, key, *more))

    def get(self, stage: str, key: str, *, files: bool = True) -> Artifact | None:
        """As the local store's. Missing files are downloaded; an artifact that only this machine has is uploaded."""
        if not is_artifact(stage, key):
            return None
        try:
            shared = self._shared(stage, key)
        except ArtifactCorrupt as damage:
            return self._restored(stage, key, damage, files)
        if shared:
            artifact = self._artifact(stage, key, shared)
            return self._copy(artifact, shared) if files else artifact
        mine = super().get(stage, key)
        if mine is None or not files:
            return mine
        super().verify(mine)
        return self._share(mine, replace=False)

    def _restored(self, stage: str, key: str, damage: ArtifactCorrupt, files: bool) -> Artifact:
        """The copy on this machine, which replaces the artifact whose manifest is damaged; raises *damage* without."""
        mine = super().get(stage, key) if files else None
        if mine is None:
            raise damage
        super().verify(mine)
        say(f"  {str(damage).partition(';')[0]}; uploading the copy on this machine")
        return self._share(mine, replace=True)

    def _copy(self, artifact: Artifact, shared: Shared) -> Artifact | None:
        """The copy of *artifact* on this machine; downloaded where there is none, or another one."""
        with contextlib.suppress(ArtifactCorrupt):
            mine = super().get(artifact.stage, artifact.key)
            if mine and mine.digest == artifact.digest:
                return mine
        return self._fetch(artifact, shared)

    def _fetch(self, artifact: Artifact, shared: Shared) -> Artifact | None:
        """Download *artifact*, one process of this machine at a time: those that waited use the copy of the first."""
        with storage_errors(self.root), self._fetching(f"{artifact.stage}/{artifact.key}"):
            return self._intact(artifact) or self._downloaded(artifact, shared)

    @contextlib.contextmanager
    def _fetching(self, name: str) -> Iterator[None]:
        path = self.root / ".fetching" / name.replace("/", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            locks.acquire(handle, f"the download of {name}")
            yield
        finally:
            os.close(handle)

    def _intact(self, artifact: Artifact) -> Artifact | None:
        """The copy on this machine where every byte is as published, so that nothing may take it from its readers.

        One of an artifact that another machine has replaced since counts while a live process here reads it.
        """
        with contextlib.suppress(ArtifactCorrupt):
            mine = super().get(artifact.stage, artifact.key)
            if mine and (mine.digest == artifact.digest or (mine.stage, mine.key) in self.leases.others()):
                super().verify(mine)
                return mine
        return None

    def _downloaded(self, artifact: Artifact, shared: Shared) -> Artifact | None:
        for _ in range(TRIES):
            try:
                with self.draft(artifact.stage, artifact.key) as draft:
                    self._download(artifact, shared.upload, draft)
                    return super().publish(draft, artifact.recipe, artifact.facts, artifact.made, replace=True)
            except FileNotFoundError:  # replaced or deleted meanwhile: its manifest says which
                latest = self._shared(artifact.stage, artifact.key)
                if latest is None:
                    return None
                artifact, shared = self._artifact(artifact.stage, artifact.key, latest), latest
        raise self._damaged(artifact, "is without its files")

    def _download(self, artifact: Artifact, upload: str, draft: Path) -> None:
        """Fill *draft* with the files of *artifact*; raises ArtifactCorrupt where one is not what was uploaded."""
        if key(artifact.recipe) != artifact.key or digest_of(artifact.files) != artifact.digest:
            raise self._damaged(artifact, CHANGED, MANIFEST)
        base = self._place(artifact.stage, artifact.key, upload)
        targets = {name: draft / name for name in artifact.files}
        for target in targets.values():
            target.parent.mkdir(parents=True, exist_ok=True)
        with self._answering():
            self._fs.get([f"{base}/{name}" for name in targets], [str(target) for target in targets.values()])
        for name, target in targets.items():
            if not target.exists():
                raise FileNotFoundError(name)
            if sha256_of_file(target) != artifact.files[name]:
                raise self._damaged(artifact, CHANGED, upload, name)

    def publish(self, draft: Path, recipe: Recipe, facts: Facts, made: Made, *, replace: bool = False) -> Artifact:
        """As the local store's: where another machine was first, its artifact is downloaded and returned."""
        return self._share(super().publish(draft, recipe, facts, made, replace=replace), replace=replace)

    def _share(self, artifact: Artifact, *, replace: bool) -> Artifact:
        """Upload *artifact*; unless *replace*, one that another machine has uploaded wins and is returned."""
        stage, name = artifact.stage, artifact.key
        before = self._replaceable(stage, name) if replace else self._shared(stage, name)
        if before and not replace:
            return self._copy(self._artifact(stage, name, before), before) or artifact
        winner = self._upload(artifact, replace=replace)
        if winner:
            return self._copy(self._artifact(stage, name, winner), winner) or artifact
        if before:
            self._remove(self._place(stage, name, before.upload))
        return artifact

    def _replaceable(self, stage: str, key: str) -> Shared | None:
        """The manifest that is about to be replaced; None where there is none, or it is damaged."""
        with contextlib.suppress(ArtifactCorrupt):
            return self._shared(stage, key)
        return None

    def _upload(self, artifact: Artifact, *, replace: bool) -> Shared | None:
        """Upload files and manifest; returns the manifest of a machine that was first, None where this one was."""
        stage, name = artifact.stage, artifact.key
        for file in artifact.files:
            if through_link(artifact.path, file):  # whose target may be anything that this user can read
                raise ArtifactCorrupt(corrupt(artifact.path / file, "became a link", stage))
        manifest = read_manifest((artifact.path / MANIFEST).read_bytes())
        mine = Shared(secrets.token_hex(8), manifest)
        base = self._place(stage, name, mine.upload)
        content = json.dumps(with_checksum(msgspec.to_builtins(mine)), indent=2, sort_keys=True).encode()
        if not replace:
            self.expect_conditions()
        with self._answering(may_miss=False):
            self._fs.put(
                [str(artifact.path / file) for file in artifact.files], [f"{base}/{f}" for f in artifact.files]
            )
            if self._put(self._place(stage, name, MANIFEST), content, replace=replace):
                return None
        shared = self._shared(stage, name)
        if shared and shared.upload != mine.upload:  # not that of its own lost request
            self._remove(base)
            return shared
        return None

    def expect_conditions(self) -> None:
        """Raise ConfigError where the server creates an object that exists: of two makers it would keep the later."""
        place = f"{self._root}/{CREATED_ONCE}"
        with self._answering(may_miss=False):
            if not (self._put(place, b"", replace=False) and self._put(place, b"", replace=False)):
                return
        raise ConfigError(
            f"the server of {self.url} (PIPELINE_STORE) ignores If-None-Match: it created s3://{place} twice, so "
            "machines could replace each other's artifacts; use a server that supports conditional writes, or share "
            "PIPELINE_HOME"
        )

    def _put(self, place: str, content: bytes, *, replace: bool) -> bool:
        """Put the object *place*; False where it was there already and is not to be replaced."""
        try:
            self._fs.pipe_file(place, content, mode="overwrite" if replace else "create")
        except OSError as error:
            if not isinstance(error, FileExistsError) and code(error) not in EXISTS:
                raise
            return False
        return True

    def check(self, artifact: Artifact, cache: Path) -> None:
        """Look at the copy here; a damaged copy is downloaded again."""
        with self._repair(artifact):
            super().check(artifact, cache)

    def verify(self, artifact: Artifact) -> None:
        """Read every byte of the copy here; a damaged copy is downloaded again."""
        with self._repair(artifact):
            super().verify(artifact)

    @contextlib.contextmanager
    def _repair(self, artifact: Artifact) -> Iterator[None]:
        """Download *artifact* again where the block finds it damaged."""
        try:
            yield
        except ArtifactCorrupt:
            shared = self._shared(artifact.stage, artifact.key)
            if shared is None or shared.manifest["digest"] != artifact.digest:
                raise
            self._fetch(artifact, shared)

    def list(self) -> Iterator[tuple[str, str]]:
        """(stage, key) of everything published, here or in the bucket."""
        shared = {(stage, name) for stage, name, *rest in self._objects() if rest == [MANIFEST]}
        yield from sorted(shared | set(super().list()))

    def briefs(self) -> dict[tuple[str, str], Brief]:
        """What the manifests in the bucket say: a copy here may be that of an artifact that was replaced."""
        briefs = dict[tuple[str, str], Brief]()
        for stage, name in self.list():
            with contextlib.suppress(ArtifactCorrupt):
                if artifact := self.get(stage, name, files=False):
                    briefs[stage, name] = Brief.of(artifact)
        return briefs

    def glance(self, stage: str, key: str, brief: Brief, cache: Path) -> bool:
        """Look at the copy here; what is in the bucket alone has none."""
        return not self.path(stage, key).exists() or super().glance(stage, key, brief, cache)

    def _objects(self) -> dict[tuple[str, ...], Any]:
        """The status of each object of an artifact, by the parts of its name; others keep theirs in the bucket too."""
        with self._answering(may_miss=False):
            listed = [status for page in pages(self._fs, self._root) for status in page]
        depth = self._depth - 1  # the bucket is no part of a key
        parts = {tuple(status["Key"].split("/")[depth:]): status for status in listed}
        return {name: status for name, status in parts.items() if len(name) > 2 and is_artifact(*name[:2])}

    def delete_all(self, items: Sequence[Item]) -> Sequence[Item]:
        """Remove artifacts here and in the bucket, unless another live process of this machine leases them."""
        deleted = super().delete_all(items)
        for item in deleted:
            self._remove(self._place(*item))
        return deleted

    def _withdraw(self, stage: str, key: str) -> Path | None:
        self._remove(self._place(stage, key, MANIFEST))  # first, so that no reader sees half of it
        return super()._withdraw(stage, key)

    def is_young(self, stage: str, key: str) -> bool:
        """Whether a run of another machine, unknown to this one, may need it."""
        with self._answering(), contextlib.suppress(FileNotFoundError):
            return bool(_age(self._fs.info(self._place(stage, key, MANIFEST))) < YOUNG)
        return False

    def sweep_uploads(self) -> int:
        """Remove the uploads that no manifest names and whose maker must be dead by now; returns how many."""
        return sum(self._sweep(*upload) for upload in self._old_uploads())

    def _old_uploads(self) -> Iterator[tuple[str, str, str]]:
        """(stage, key, upload) of those whose last file is older than any live maker needs."""
        old: dict[tuple[str, str, str], bool] = {}
        for (stage, name, upload, *file), status in self._objects().items():
            if file and UPLOAD.fullmatch(upload):
                old[stage, name, upload] = old.get((stage, name, upload), True) and _age(status) > UPLOAD_DIED
        yield from (upload for upload, is_old in old.items() if is_old)

    def _sweep(self, stage: str, key: str, upload: str) -> bool:
        try:
            shared = self._shared(stage, key)
        except ArtifactCorrupt:  # nobody knows which upload it named
            return False
        if shared and shared.upload == upload:
            return False
        self._remove(self._place(stage, key, upload))
        return True

    def _shared(self, stage: str, key: str) -> Shared | None:
        """The manifest in the bucket; None where the artifact was never shared."""
        content = self._manifest(stage, key)
        if content is None:
            return None
        try:
            shared = msgspec.convert(checked(content), Shared)
        except ValueError:  # msgspec.ValidationError is one
            raise self._unreadable(stage, key, CHANGED) from None
        if name := unsafe(shared.manifest["files"]):
            raise self._unreadable(stage, key, strange(name))
        return shared

    def _manifest(self, stage: str, key: str) -> bytes | None:
        """The content of the manifest in the bucket, None where there is none."""
        with self._answering():
            try:
                content: bytes = self._fs.cat_file(self._place(stage, key, MANIFEST), start=0, end=LARGEST + 1)
            except FileNotFoundError as error:
                if code(error) == "NoSuchBucket":
                    raise
                return None
            except OSError as error:
                if code(error) not in EMPTY:
                    raise
                return b""
        if content.lstrip()[:1] == b"<":
            raise Unavailable(
                f"{self.url} (PIPELINE_STORE) did not answer like an object store ({content[:40]!r}); check the "
                f"network and AWS_ENDPOINT_URL, or delete {self._place(stage, key, MANIFEST)} if that is its content"
            )
        if len(content) > LARGEST:
            raise self._unreadable(stage, key, f"is larger than {LARGEST >> 20} MB")
        return content

    def _unreadable(self, stage: str, key: str, happened: str) -> ArtifactCorrupt:
        return ArtifactCorrupt(corrupt(f"s3://{self._place(stage, key, MANIFEST)}", happened, stage))

    def _artifact(self, stage: str, key: str, shared: Shared) -> Artifact:
        return Artifact(stage=stage, key=key, path=self.path(stage, key), **shared.manifest)

    def _remove(self, place: str) -> None:
        with self._answering(), contextlib.suppress(FileNotFoundError):
            self._fs.rm(place, recursive=True)

    def _damaged(self, artifact: Artifact, happened: str, *more: str) -> ArtifactCorrupt:
        place = self._place(artifact.stage, artifact.key, *more)
        return ArtifactCorrupt(corrupt(f"s3://{place}", happened, artifact.stage))

    @contextlib.contextmanager
    def _answering(self, *, may_miss: bool = True) -> Iterator[None]:
        """Raise what the server or the network refuses as a Failure; a missing object stays a FileNotFoundError.

        Where none *may_miss*, as when one is written, it means that this is no bucket.
        """
        try:
            with announced(self.url):
                yield
        except Exception as error:
            missing = isinstance(error, FileNotFoundError) and (may_miss or not response(error))
            if failure := None if missing and code(error) != "NoSuchBucket" else failure_of(error, self.url, SETTING):
                raise failure from error
            raise


def _age(status: dict[str, Any]) -> timedelta:
    """How long ago an object was written; where the server does not say it, it counts as new."""
    modified = status.get("LastModified")
    return datetime.now(UTC) - modified if isinstance(modified, datetime) else timedelta(0)
