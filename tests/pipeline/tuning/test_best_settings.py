"""The profile of a search: what the file can hold, and what it had better not."""

import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from pipeline.tuning import best_settings
from pipeline.tuning.plan import Plan
from pipeline.tuning.study import Study, Trial


def test_a_profile_holds_neither_credentials_nor_bytes_that_are_no_utf_8(tmp_path: Path) -> None:
    """The search has ended well: its settings are written, and those that cannot be are named."""
    written = {"ingest.source": "photos-\udce9", "ingest.mirror": "http://user:secret@host/", "train.seed": 3}
    plan = cast("Plan", SimpleNamespace(tune=SimpleNamespace(objective="accuracy"), written=written))
    best = cast("Trial", SimpleNamespace(number=2, value=0.5, chosen={"train.dropout": 0.25}))
    profile = tmp_path / "study-\udce9.toml"
    best_settings.write(profile, plan, cast("Study", SimpleNamespace(name="study")), best)
    text = profile.read_text()
    assert tomllib.loads(text) == {"ingest": {}, "train": {"seed": 3, "dropout": 0.25}}
    assert '# to be given by --set: source = "photos-\\xe9"' in text
    assert '# to be given by --set: mirror = "http://***@host/"' in text
