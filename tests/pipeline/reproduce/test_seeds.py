"""Which versions differ from another in the seed alone."""

import shutil
from hashlib import sha256
from pathlib import Path

from components.register.provenance import FILE, FILES_DIGEST, SHA256_TAG, Build, Resource, statement, text
from components.registry.client import Registry
from pipeline.reproduce import recorded, seeds


def record(seed: int, epochs: int = 2) -> bytes:
    """provenance.json of a version that was trained with *seed* for so many *epochs*."""
    recipe = {"stage": "train", "code": {"a": "1"}, "params": {"seed": seed, "epochs": epochs}}
    train = Resource("train", {FILES_DIGEST: "0"}, annotations={"key": f"{seed}", "recipe": recipe})
    build = Build("run", "", "", {}, {"settings": {}}, {"environments": {}}, [], [train])
    return text(statement({}, build))


def test_versions_that_differ_in_the_seed_alone_are_known(tmp_path: Path, empty_database: Path) -> None:
    """Not those of other images or settings, nor those of which nothing is recorded, or something else by now."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    registry = Registry(f"sqlite:///{tmp_path}/mlflow.db")
    registry.create_model("m", "")

    def add(content: bytes, accuracy: str, data: str = "same", written: bytes = b"") -> str:
        folder = tmp_path / f"files-{accuracy}"
        folder.mkdir()
        (folder / FILE).write_bytes(written or content)
        tags = {SHA256_TAG: sha256(content).hexdigest() if content else "", "accuracy": accuracy, seeds.DATA: data}
        return str(registry.client.create_model_version("m", folder.as_uri(), tags=tags).version)

    add(record(0), "0.99")
    own = add(record(1), "0.98")
    add(record(2, epochs=3), "0.97")
    add(record(3), "0.96", data="others")
    add(b"", "0.95")
    add(record(4), "0.94", written=record(1))
    add(record(5), "unknown")
    add(record(6), "0.93")
    (version,) = (version for version in registry.versions("m") if version.version == own)
    assert seeds.accuracies(recorded.read(registry, version), registry) == [0.98, 0.93, 0.99]
