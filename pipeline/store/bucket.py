"""The store in a bucket, for machines that share no disk: what one of them has published, each can take.

    s3://BUCKET/PREFIX/
      train/
        5f0c2d9a41b7e836/
          manifest.json          {"upload", "manifest": that of the artifact}; put last, where there is none yet
          3b1d0c55e2f84a60/      the upload that the manifest names
            model.keras ...
          91e7.../               an upload whose maker was late, or died: swept when it is a day old

An object store has no rename, but it takes an object on the condition that there is none of that name yet, and shows it
whole or not at all: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
So each maker puts its files where no other one does, and the manifest, which says where, decides whose they are. A
maker that is killed, at whatever moment, leaves an upload that no manifest names. No lock is needed, and none is there.

Stages read and write files, so what they need lies below $PIPELINE_HOME/artifacts too, laid out as the local store is.
A copy is taken for good while its digest is the one in the bucket; `verify` reads each byte, and fetches a damaged copy
again.
"""

import contextlib
import errno
import json
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from components.errors import ArtifactCorrupt, ConfigError, Failure, Unavailable
from pipeline.store.local import MANIFEST, Artifact, Store, corrupt, digest_of, hash_file, storage_errors
from pipeline.store.recipe import Recipe, key

URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/\s?#]+)*/?")
TRIES = 3  # a copy that another machine replaces while it is fetched is begun anew
SECONDS = 20  # for a server to answer
UPLOAD_DIED = timedelta(days=1)
YOUNG = timedelta(days=7)
UNSAID = (errno.EIO, errno.EBUSY)  # what s3fs makes of an answer that it has no better word for


class SharedStore(Store):
    """The artifacts in a bucket, with copies below *root*.

    Raises ConfigError, here and in use, for a *url* that is none or leads nowhere, Unavailable where nothing answers.
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

    def look(self, stage: str, key: str) -> Artifact | None:
        """What the manifest says, whether or not the files are here."""
        told = self._told(stage, key)
        return self._read(stage, key) if told is None else self._artifact(stage, key, told)

    def get(self, stage: str, key: str) -> Artifact | None:
        """The artifact, fetched where it is not here; one that only this machine has is shared at this opportunity."""
        told = self._told(stage, key)
        if told is None:
            mine = self._read(stage, key)
            if mine is None:
                return None
            super().verify(mine)
            return self._share(mine, replace=False)
        return self._copy(self._artifact(stage, key, told), told)

    def _copy(self, shared: Artifact, told: dict[str, Any]) -> Artifact | None:
        """The copy of *shared* on this machine; fetched where there is none, or another one."""
        with contextlib.suppress(ArtifactCorrupt):
            mine = self._read(shared.stage, shared.key)
            if mine and mine.digest == shared.digest:
                return mine
        return self._fetch(shared, told)

    def _fetch(self, shared: Artifact, told: dict[str, Any]) -> Artifact | None:
        for _ in range(TRIES):
            try:
                with storage_errors(self.root), self.draft(shared.stage, shared.key) as draft:
                    self._download(shared, told["upload"], draft)
                    return super().publish(draft, shared.recipe, shared.facts, shared.made, replace=True)
            except FileNotFoundError:  # replaced or deleted meanwhile: its manifest says which
                again = self._told(shared.stage, shared.key)
                if again is None:
                    return None
                shared, told = self._artifact(shared.stage, shared.key, again), again
        raise self._damaged(shared, "is without its files")

    def _download(self, shared: Artifact, upload: str, draft: Path) -> None:
        """Fill *draft* with the files of *shared*; raises ArtifactCorrupt where one is not what was put there."""
        base = self._place(shared.stage, shared.key, upload)
        targets = {name: draft / name for name in shared.files}
        for target in targets.values():
            target.parent.mkdir(parents=True, exist_ok=True)
        with self._answering():
            self._fs.get([f"{base}/{name}" for name in targets], [str(target) for target in targets.values()])
        for name, target in targets.items():
            if not target.exists():
                raise FileNotFoundError(name)
            if hash_file(target) != shared.files[name]:
                raise self._damaged(shared, "was changed", upload, name)
        if digest_of(shared.files) != shared.digest or key(shared.recipe) != shared.key:
            raise self._damaged(shared, "was changed", MANIFEST)

    def publish(
        self, draft: Path, recipe: Recipe, facts: dict[str, Any], made: dict[str, Any], *, replace: bool = False
    ) -> Artifact:
        """As the local store's: where another machine was first, its artifact is fetched and returned."""
        return self._share(super().publish(draft, recipe, facts, made, replace=replace), replace=replace)

    def _share(self, artifact: Artifact, *, replace: bool) -> Artifact:
        stage, name, upload = artifact.stage, artifact.key, secrets.token_hex(8)
        before = self._told(stage, name)
        if before and not replace:
            return self._copy(self._artifact(stage, name, before), before) or artifact
        base = self._place(stage, name, upload)
        manifest = json.loads((artifact.path / MANIFEST).read_bytes())
        text = json.dumps({"upload": upload, "manifest": manifest}, indent=2, sort_keys=True)
        with self._answering():
            self._fs.put(
                [str(artifact.path / file) for file in artifact.files], [f"{base}/{f}" for f in artifact.files]
            )
            try:
                mode = "overwrite" if replace else "create"
                self._fs.pipe_file(self._place(stage, name, MANIFEST), text.encode(), mode=mode)
            except FileExistsError:
                told = self._told(stage, name)
                if told and told["upload"] != upload:  # its own where an answer got lost and the request was repeated
                    self._remove(base)
                    return self._copy(self._artifact(stage, name, told), told) or artifact
        if before:
            self._remove(self._place(stage, name, before["upload"]))
        return artifact

    def verify(self, artifact: Artifact) -> None:
        """Read every byte of the copy here; one that is damaged is fetched again."""
        try:
            super().verify(artifact)
        except ArtifactCorrupt:
            told = self._told(artifact.stage, artifact.key)
            if told is None or told["manifest"]["digest"] != artifact.digest:
                raise
            self._fetch(artifact, told)

    def list(self) -> Iterator[tuple[str, str]]:
        """(stage, key) of everything published, here or there."""
        with self._answering():
            found = [path.split("/")[self._depth :] for path in self._fs.find(self._root)]
        shared = {(stage, name) for stage, name, *rest in found if rest == [MANIFEST]}
        yield from sorted(shared | set(super().list()))

    def delete(self, stage: str, key: str) -> None:
        """Remove an artifact here and there: its manifest first, so nobody takes half of it for the whole."""
        self._remove(self._place(stage, key, MANIFEST))
        self._remove(self._place(stage, key))
        super().delete(stage, key)

    def is_young(self, stage: str, key: str) -> bool:
        """Whether it may belong to a run of another machine, which this one knows nothing of."""
        with self._answering(), contextlib.suppress(FileNotFoundError):
            return bool(_age(self._fs.info(self._place(stage, key, MANIFEST))) < YOUNG)
        return False

    def sweep_uploads(self) -> int:
        """Remove the uploads that no manifest names and that no live maker can be at any more; returns how many."""
        with self._answering():
            files = self._fs.find(self._root, detail=True)
        uploads: dict[tuple[str, str, str], bool] = {}
        for path, facts in files.items():
            stage, name, upload, *rest = path.split("/")[self._depth :]
            if rest:
                uploads[stage, name, upload] = uploads.get((stage, name, upload), True) and _age(facts) > UPLOAD_DIED
        swept = 0
        for (stage, name, upload), died in uploads.items():
            told = self._told(stage, name) if died else None
            if died and (told is None or told["upload"] != upload):
                self._remove(self._place(stage, name, upload))
                swept += 1
        return swept

    def _told(self, stage: str, key: str) -> dict[str, Any] | None:
        """The manifest in the bucket; None where the artifact was never shared."""
        with self._answering():
            try:
                text = self._fs.cat_file(self._place(stage, key, MANIFEST))
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise
                return None
        try:
            told: dict[str, Any] = json.loads(text)
            self._artifact(stage, key, told)
            return told
        except (ValueError, TypeError, KeyError):
            place = f"s3://{self._place(stage, key, MANIFEST)}"
            raise ArtifactCorrupt(corrupt(place, "is not what was written", stage)) from None

    def _artifact(self, stage: str, key: str, told: dict[str, Any]) -> Artifact:
        return Artifact(stage=stage, key=key, path=self.path(stage, key), **told["manifest"])

    def _remove(self, place: str) -> None:
        with self._answering(), contextlib.suppress(FileNotFoundError):
            self._fs.rm(place, recursive=True)

    def _damaged(self, shared: Artifact, happened: str, *more: str) -> ArtifactCorrupt:
        return ArtifactCorrupt(corrupt(f"s3://{self._place(shared.stage, shared.key, *more)}", happened, shared.stage))

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Say in a sentence what the server, or the way to it, refuses; a file that is not there stays that."""
        try:
            yield
        except Exception as error:
            if failure := self._sentence(error):
                raise failure from error
            raise

    def _sentence(self, error: Exception) -> Failure | None:
        from botocore.exceptions import BotoCoreError, NoCredentialsError, PartialCredentialsError

        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return ConfigError(
                f"there are no credentials for {self.url} (PIPELINE_STORE); set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            )
        if _code(error) == "NoSuchBucket":
            bucket = self.url.split("/")[2]
            return ConfigError(f"there is no bucket {bucket} (PIPELINE_STORE); create it, or name another one")
        if isinstance(error, PermissionError) and error.errno is None:  # with a number it is one of this machine's disk
            return ConfigError(f"{self.url} (PIPELINE_STORE) refuses: {error}; check the credentials and their rights")
        if isinstance(error, ValueError):
            return ConfigError(f"{self.url} (PIPELINE_STORE) cannot be asked: {error}; check AWS_ENDPOINT_URL")
        unsaid = isinstance(error, OSError) and error.errno in UNSAID
        if unsaid or isinstance(error, BotoCoreError | ConnectionError | TimeoutError):
            return Unavailable(
                f"{self.url} (PIPELINE_STORE) did not answer ({str(error) or type(error).__name__}); check the network "
                "and AWS_ENDPOINT_URL and run it again: what was finished is kept"
            )
        return None


def _code(error: BaseException) -> str:
    """The server's own name for what it refused."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _age(facts: dict[str, Any]) -> timedelta:
    modified: datetime = facts["LastModified"]
    return datetime.now(UTC) - modified
