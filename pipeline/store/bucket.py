"""The store in a bucket, for machines that share no disk: what one has published, all can use.

    s3://BUCKET/PREFIX/
      train/
        5f0c2d9a41b7e836/
          manifest.json          {"upload", "manifest": that of the artifact}; uploaded last, unless there is one
          3b1d0c55e2f84a60/      the upload that the manifest names
            model.keras ...
          91e7.../               the upload of a maker that was late, or died: swept when it is a day old

An object store has no rename, but it can create an object on the condition that none of that name exists, and it shows
an object whole or not at all: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
So each maker uploads its files under a name of their own, and the manifest decides which upload counts. A maker that
is killed, at whatever moment, leaves an upload that no manifest names. No lock is needed.

Stages read and write files, so the files that they need lie below $PIPELINE_HOME/artifacts too, laid out as in the
local store. A copy is valid while its digest is the one in the bucket; `verify` reads each byte and downloads a damaged
copy again.
"""

import contextlib
import errno
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from components.errors import ArtifactCorrupt, ConfigError, Failure, Unavailable
from components.system.files import sha256_of_file
from pipeline.graph import Facts
from pipeline.store.artifact import MANIFEST, Artifact, Made, Manifest, corrupt, digest_of
from pipeline.store.disk_errors import storage_errors
from pipeline.store.local import Store
from pipeline.store.recipe import Recipe, key

URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/\s?#]+)*/?")
TRIES = 3  # a download during which another machine replaces the artifact starts again
SECONDS = 20  # for a server to answer
UPLOAD_DIED = timedelta(days=1)
YOUNG = timedelta(days=7)
UNSPECIFIC = (errno.EIO, errno.EBUSY)  # how s3fs raises an answer that it has no better error for


class Shared(msgspec.Struct, frozen=True):
    """The manifest in the bucket: that of the artifact, and the folder of its files."""

    upload: str
    manifest: Manifest


class SharedStore(Store):
    """The artifacts in a bucket, with copies below *root*.

    Raises ConfigError, here and in use, for a *url* that is malformed or leads nowhere, Unavailable without an answer.
    """

    def __init__(self, root: Path, url: str) -> None:
        super().__init__(root)
        if not URL.fullmatch(url):
            raise ConfigError(f"PIPELINE_STORE is {url!r}; expected s3://BUCKET or s3://BUCKET/PREFIX")
        self.url = url.rstrip("/")
        self._root = self.url.removeprefix("s3://")
        self._depth = self._root.count("/") + 1  # of an object's stage in its path

    @cached_property
    def _fs(self) -> Any:
        import s3fs

        limits = {"connect_timeout": SECONDS, "read_timeout": SECONDS, "retries": {"max_attempts": 2}}
        return s3fs.S3FileSystem(use_listings_cache=False, config_kwargs=limits)

    def _place(self, stage: str, key: str, *more: str) -> str:
        return "/".join((self._root, stage, key, *more))

    def get(self, stage: str, key: str, *, files: bool = True) -> Artifact | None:
        """As the local store's. Missing files are downloaded; an artifact that only this machine has is uploaded."""
        shared = self._shared(stage, key)
        if shared:
            artifact = self._artifact(stage, key, shared)
            return self._copy(artifact, shared) if files else artifact
        mine = super().get(stage, key)
        if mine is None or not files:
            return mine
        super().verify(mine)
        return self._share(mine, replace=False)

    def _copy(self, artifact: Artifact, shared: Shared) -> Artifact | None:
        """The copy of *artifact* on this machine; downloaded where there is none, or another one."""
        with contextlib.suppress(ArtifactCorrupt):
            mine = super().get(artifact.stage, artifact.key)
            if mine and mine.digest == artifact.digest:
                return mine
        return self._fetch(artifact, shared)

    def _fetch(self, artifact: Artifact, shared: Shared) -> Artifact | None:
        for _ in range(TRIES):
            try:
                with storage_errors(self.root), self.draft(artifact.stage, artifact.key) as draft:
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
                raise self._damaged(artifact, "was changed", upload, name)
        if digest_of(artifact.files) != artifact.digest or key(artifact.recipe) != artifact.key:
            raise self._damaged(artifact, "was changed", MANIFEST)

    def publish(self, draft: Path, recipe: Recipe, facts: Facts, made: Made, *, replace: bool = False) -> Artifact:
        """As the local store's: where another machine was first, its artifact is downloaded and returned."""
        return self._share(super().publish(draft, recipe, facts, made, replace=replace), replace=replace)

    def _share(self, artifact: Artifact, *, replace: bool) -> Artifact:
        """Upload *artifact*; unless *replace*, one that another machine has uploaded wins and is returned."""
        stage, name = artifact.stage, artifact.key
        before = self._shared(stage, name)
        if before and not replace:
            return self._copy(self._artifact(stage, name, before), before) or artifact
        winner = self._upload(artifact, replace=replace)
        if winner:
            return self._copy(self._artifact(stage, name, winner), winner) or artifact
        if before:
            self._remove(self._place(stage, name, before.upload))
        return artifact

    def _upload(self, artifact: Artifact, *, replace: bool) -> Shared | None:
        """Upload files and manifest; returns the manifest of a machine that was first, None where this one was."""
        stage, name = artifact.stage, artifact.key
        manifest = msgspec.json.decode((artifact.path / MANIFEST).read_bytes(), type=Manifest)
        mine = Shared(secrets.token_hex(8), manifest)
        base = self._place(stage, name, mine.upload)
        content = msgspec.json.format(msgspec.json.encode(mine, order="deterministic"))
        with self._answering():
            self._fs.put(
                [str(artifact.path / file) for file in artifact.files], [f"{base}/{f}" for f in artifact.files]
            )
            mode = "overwrite" if replace else "create"
            try:
                self._fs.pipe_file(self._place(stage, name, MANIFEST), content, mode=mode)
            except FileExistsError:
                shared = self._shared(stage, name)
                if shared and shared.upload != mine.upload:  # not that of its own lost request
                    self._remove(base)
                    return shared
        return None

    def verify(self, artifact: Artifact) -> None:
        """Read every byte of the copy here; a damaged copy is downloaded again."""
        try:
            super().verify(artifact)
        except ArtifactCorrupt:
            shared = self._shared(artifact.stage, artifact.key)
            if shared is None or shared.manifest["digest"] != artifact.digest:
                raise
            self._fetch(artifact, shared)

    def list(self) -> Iterator[tuple[str, str]]:
        """(stage, key) of everything published, here or in the bucket."""
        with self._answering():
            paths = [path.split("/")[self._depth :] for path in self._fs.find(self._root)]
        shared = {(stage, name) for stage, name, *rest in paths if rest == [MANIFEST]}
        yield from sorted(shared | set(super().list()))

    def delete(self, stage: str, key: str) -> None:
        """Remove an artifact here and in the bucket: its manifest first, so that no reader sees half of it."""
        self._remove(self._place(stage, key, MANIFEST))
        self._remove(self._place(stage, key))
        super().delete(stage, key)

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
        with self._answering():
            files = self._fs.find(self._root, detail=True)
        old: dict[tuple[str, str, str], bool] = {}
        for path, status in files.items():
            stage, name, upload, *rest = path.split("/")[self._depth :]
            if rest:
                old[stage, name, upload] = old.get((stage, name, upload), True) and _age(status) > UPLOAD_DIED
        yield from (upload for upload, is_old in old.items() if is_old)

    def _sweep(self, stage: str, key: str, upload: str) -> bool:
        shared = self._shared(stage, key)
        if shared and shared.upload == upload:
            return False
        self._remove(self._place(stage, key, upload))
        return True

    def _shared(self, stage: str, key: str) -> Shared | None:
        """The manifest in the bucket; None where the artifact was never shared."""
        with self._answering():
            try:
                content = self._fs.cat_file(self._place(stage, key, MANIFEST))
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise
                return None
        try:
            return msgspec.json.decode(content, type=Shared)
        except (msgspec.DecodeError, UnicodeDecodeError):
            place = f"s3://{self._place(stage, key, MANIFEST)}"
            raise ArtifactCorrupt(corrupt(place, "is not what was written", stage)) from None

    def _artifact(self, stage: str, key: str, shared: Shared) -> Artifact:
        return Artifact(stage=stage, key=key, path=self.path(stage, key), **shared.manifest)

    def _remove(self, place: str) -> None:
        with self._answering(), contextlib.suppress(FileNotFoundError):
            self._fs.rm(place, recursive=True)

    def _damaged(self, artifact: Artifact, happened: str, *more: str) -> ArtifactCorrupt:
        place = self._place(artifact.stage, artifact.key, *more)
        return ArtifactCorrupt(corrupt(f"s3://{place}", happened, artifact.stage))

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Raise what the server or the network refuses as a Failure; a missing file stays a FileNotFoundError."""
        try:
            yield
        except Exception as error:
            if failure := self._failure(error):
                raise failure from error
            raise

    def _failure(self, error: Exception) -> Failure | None:
        from botocore.exceptions import BotoCoreError, NoCredentialsError, PartialCredentialsError

        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return ConfigError(
                f"there are no credentials for {self.url} (PIPELINE_STORE); set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            )
        if _code(error) == "NoSuchBucket":
            bucket = self.url.split("/")[2]
            return ConfigError(f"there is no bucket {bucket} (PIPELINE_STORE); create it, or name another")
        if isinstance(error, PermissionError) and error.errno is None:  # with a number: this machine's disk
            return ConfigError(f"{self.url} (PIPELINE_STORE) refuses: {error}; check the credentials and their rights")
        if isinstance(error, ValueError):
            return ConfigError(f"{self.url} (PIPELINE_STORE) cannot be reached: {error}; check AWS_ENDPOINT_URL")
        unspecific = isinstance(error, OSError) and error.errno in UNSPECIFIC
        if unspecific or isinstance(error, BotoCoreError | ConnectionError | TimeoutError):
            return Unavailable(
                f"{self.url} (PIPELINE_STORE) did not answer ({str(error) or type(error).__name__}); check the network "
                "and AWS_ENDPOINT_URL and run it again: what was finished is kept"
            )
        return None


def _code(error: BaseException) -> str:
    """The server's error code."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _age(status: dict[str, Any]) -> timedelta:
    modified: datetime = status["LastModified"]
    return datetime.now(UTC) - modified
