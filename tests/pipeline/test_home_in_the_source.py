"""`--source .`, where the workspace lies among the classes: what ingest takes for a workspace is what a run makes."""

from pathlib import Path

import pytest

from components.ingest.reading import folder_listing
from components.ingest.sources import folder
from components.settings.sections import Ingest
from pipeline.home import Home


@pytest.mark.parametrize("inside", ["workspace", "my home", "."])
def test_a_workspace_changes_nothing(tmp_path: Path, inside: str) -> None:
    """Wherever PIPELINE_HOME is in the source, each run finds the same images as the first one."""
    root = tmp_path / "pets"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        (root / name / "0.png").write_bytes(name.encode())
    home, params = Home(root / inside), Ingest(source=str(root))
    before = folder.fingerprint(params, tmp_path / "cache")
    home.prepare()
    assert folder.fingerprint(params, home.cache) == before
    (home.root / "mlflow.db").touch()
    places = (
        home.tuning,
        home.airflow,
        home.exports,
        home.corrections,
        home.root / "mlartifacts",
        home.root / "serving",
    )
    for path in (home.work("train", "0"), home.logs("0"), *places):
        path.mkdir(parents=True)
    assert folder.fingerprint(params, home.cache) == before
    made = {path.name for path in home.root.iterdir() if path.is_dir()} - {"cat", "dog"}
    assert set(folder_listing.list_images(root).left_out) == (made if inside == "." else {inside})
