"""Hostile servers: MNIST's mirror, the bucket, the registry, each a healthy server behind a proxy that spoils answers.

A Failure is a right end of an attempt, and so is the right content; anything else is a bug: other bytes, a file outside
the folder, and whatever is beyond the bounds of tests/faults/bounded.py.
"""

import http.server
import json
import os
import random
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from components.errors import Failure
from tests.faults.bounded import problem_of
from tests.faults.hostile_bodies import OF_MLFLOW, OF_S3
from tests.faults.hostile_proxy import FAULTS, Fault, Proxy
from tests.support import idx_files, s3_server

BATCH = 10  # attempts of a process
IMPATIENT = 1.0  # seconds, in place of the time-outs of users
FIRST, COUNT = (0, 0, 0, 1, 1, 2, 3, 5), (1, 2, 2**31)  # requests before the first spoiled one; spoiled ones
RECIPE: dict[str, Any] = {"code": {}, "params": {}, "inputs": {}, "runtime": {}}


@dataclass(frozen=True)
class Target:
    upstream: str  # which healthy server: "files", "s3" or "mlflow"
    prepare: Callable[[str, Path], Any]  # with its address, and a folder: what the attempts need
    attempt: Callable[[str, Path, random.Random, Any], None]  # with the proxy's address; fails by an AssertionError
    faults: dict[str, Fault]


def attack(target: str, seed: int, first: int, folder: str, upstream: str) -> int:
    """Try BATCH attempts from the number *first* on; prints a list of the failures in JSON."""
    os.environ["no_proxy"] = "*"
    _be_impatient()
    of_target = TARGETS[target]
    failures = []
    with _files(Path(folder), upstream) as address, Proxy(address) as proxy:
        prepared = of_target.prepare(proxy.address, Path(folder))
        problem_of(partial(_attempt, of_target, proxy, Path(folder, "warm"), random.Random(0), prepared))
        for number in range(first, first + BATCH):
            rng = random.Random(f"{seed} {target} {number}")
            name = rng.choice([*of_target.faults])
            at, count = rng.choice(FIRST), rng.choice(COUNT)
            proxy.spoil(of_target.faults[name], rng, at, count)
            print(number, name, file=sys.stderr, flush=True)  # a sign of life
            attempt = partial(_attempt, of_target, proxy, Path(folder, "inner", "most"), rng, prepared)
            if problem := problem_of(attempt):
                failures.append(f"{target} {number}, {name} from request {at} on, {count}: {problem} {proxy.seen}")
            if problem := _strays(Path(folder)):
                failures.append(f"{target} {number}, {name}: {problem}")
    print(json.dumps(failures))
    return 0


def _attempt(target: Target, proxy: Proxy, folder: Path, rng: random.Random, prepared: Any) -> None:
    """One attempt in a new *folder*; an AssertionError where it is refused in more than a sentence."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        target.attempt(proxy.address, folder, rng, prepared)
    except Failure as failure:
        if "\n" in str(failure):
            raise AssertionError(f"more than a sentence: {failure}") from failure


def _strays(folder: Path) -> str:
    """What an attempt left outside of its own folder."""
    names = {path.name for place in (folder, folder / "inner") for path in place.iterdir()}
    strays = names - {"inner", "most", "warm", "files"} | {str(path) for path in (Path("/outside"),) if path.exists()}
    return f"files outside the folder: {strays}" if strays else ""


def _be_impatient() -> None:
    from components.ingest.reading import network
    from components.ingest.sources import mnist
    from components.registry import rest
    from components.system import object_store

    network.SILENCE_SECONDS = network.LOOK_SECONDS = IMPATIENT / 4
    mnist.SECONDS_TO_ANSWER = IMPATIENT
    rest.SECONDS = object_store.SECONDS = 1


@contextmanager
def _files(folder: Path, upstream: str) -> Iterator[str]:
    """*upstream*, or where it is "" a server of the four files of a small MNIST."""
    if upstream:
        yield upstream
        return
    folder = idx_files.write(folder / "files")
    handler = partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


def _prepare_mirror(address: str, folder: Path) -> None:
    """MNIST is the small one here."""
    from components.ingest.sources import mnist

    values = idx_files.arrays()
    names = ("train-images", "train-labels", "test-images", "test-labels")
    mnist.SHA256 = {name: sha256(idx_files.idx(value)).hexdigest() for name, value in zip(names, values, strict=True)}
    mnist.SHAPES = {"train": (20, 4, 3), "test": (10, 4, 3)}


def _read_mirror(address: str, folder: Path, rng: random.Random, _: None) -> None:
    from components.ingest.sources import mnist
    from components.settings.sections import Ingest

    source = mnist.read(Ingest(source="mnist", mirror=address, tfds_dir=str(folder)), folder)
    images = [block.tobytes() for _, block, _ in source.blocks]
    assert images == [values.tobytes() for values in idx_files.arrays()[::2]], "other images"


def _prepare_bucket(address: str, folder: Path) -> Any:
    """Images, and an artifact, in a bucket of the server."""
    from components.system import object_store
    from pipeline.store.bucket import SharedStore
    from tests.support.noise_pictures import png

    os.environ.update(s3_server.variables(address))
    files, name = object_store.file_system(), f"b{os.getpid()}"
    files.mkdir(name)
    for place in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"):
        files.pipe_file(f"{name}/images/{place}", png(len(place)))
    store = SharedStore(folder / "files", f"s3://{name}/store")
    return name, _publish(store, "0")


def _publish(store: Any, value: str) -> Any:
    from pipeline.store.recipe import Recipe, key

    recipe: Recipe = {"stage": "ingest", **RECIPE, "params": {"value": value}}  # type: ignore[typeddict-item]
    with store.draft("ingest", key(recipe)) as draft:
        (draft / "a.npy").write_bytes(value.encode() * 1000)
        (draft / "b").mkdir()
        (draft / "b" / "c.json").write_bytes(b"{}")
        return store.publish(draft, recipe, {}, {"at": "", "run": "", "seconds": 0.0})


def _use_bucket(address: str, folder: Path, rng: random.Random, prepared: Any) -> None:
    """Fetch the images, or use the store as a run, `gc` and `verify` do."""
    from components.ingest.reading.bucket_copy import Bucket
    from pipeline.store.bucket import SharedStore

    bucket, artifact = prepared
    os.environ["AWS_ENDPOINT_URL"] = address
    action = rng.choice(("images", "fetch", "fetch", "publish", "list"))
    if action == "images":
        images = Bucket(f"s3://{bucket}/images")
        images.fetch(images.objects(), folder / "images")
        return
    store = SharedStore(folder / "store", f"s3://{bucket}/store")
    if action == "publish":
        made = _publish(store, str(rng.random()))
        store.verify(made)
    elif action == "fetch":
        if fetched := store.get(artifact.stage, artifact.key):
            store.verify(fetched)
            assert fetched.digest == artifact.digest, "another artifact"
    else:
        store.briefs()
        store.sweep_uploads()


def _prepare_registry(address: str, folder: Path) -> None:
    """The server holds them already."""


def _use_registry(address: str, folder: Path, rng: random.Random, _: None) -> None:
    """Read the registry as a run, `models`, `predict`, `verify` and the server do."""
    from components.inference import model_info, published
    from components.registry.client import Registry
    from pipeline.registered_files import damages

    registry = Registry(address)
    action = rng.choice(("read", "find", "find", "verify"))
    if action == "read":
        registry.expect_usable("m", "m")
        registry.names()
        assert all(version.version.isdecimal() for version in registry.versions("m"))
        registry.with_model("m", "0" * 64)
    elif action == "verify":
        [*damages(registry)]
    else:
        found = published.find(registry, "m", rng.choice(("champion", "1")), folder / "exports")
        model_info.verify(found.folder, found.info, found.info["files"])


TARGETS = {
    "mirror": Target("", _prepare_mirror, _read_mirror, FAULTS),
    "bucket": Target("s3", _prepare_bucket, _use_bucket, FAULTS | OF_S3),
    "registry": Target("mlflow", _prepare_registry, _use_registry, FAULTS | OF_MLFLOW),
}
