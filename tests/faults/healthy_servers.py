"""The healthy servers before which the hostile proxy stands: of S3, and of MLflow with a champion."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from components.registry import recorded_files
from components.registry.client import Registry
from components.registry.exports import COPY, SHA256_TAG
from components.registry.model_version import MODEL_SHA256_TAG
from tests.support import s3_server
from tests.support.mlflow_server import add_version, mlflow_server
from tests.support.published_model import publish

MODEL = "m"
CONTENT = b"the model" * 1000


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    # over the pages that spoiled answers make clients ask for, moto fails with a traceback, which is none of ours
    with s3_server.served(log="CRITICAL") as variables:
        yield variables["AWS_ENDPOINT_URL"]


@contextmanager
def mlflow(folder: Path) -> Iterator[str]:
    """Version 1 of MODEL, the champion, with its files and exports."""
    database = folder / "mlflow.db"
    assert Registry(f"sqlite:///{database}").client
    (folder / "model" / "data").mkdir(parents=True)
    (folder / "model" / "MLmodel").write_text("flavors: {}")
    (folder / "model" / "data" / "model.keras").write_bytes(CONTENT)
    tags = {
        MODEL_SHA256_TAG: sha256(CONTENT).hexdigest(),
        recorded_files.SHA256_TAG: recorded_files.write(folder / "model", {}),
        SHA256_TAG: publish(folder / "exports", name=MODEL),
    }
    (folder / "server").mkdir()
    with mlflow_server(folder / "server", database) as address:
        registry = Registry(address)
        registry.create_model(MODEL, "")
        version = add_version(registry, MODEL, tags)
        registry.log_files(version, folder / "model", "")
        registry.log_files(version, folder / "exports" / MODEL / "1", COPY)
        registry.set_alias(MODEL, "champion", version.version)
        yield address


SERVERS = {"s3": s3, "mlflow": mlflow}
