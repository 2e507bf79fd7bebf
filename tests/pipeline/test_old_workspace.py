"""A workspace that earlier code filled: each artifact is made again once, and nothing else changes."""

import json
import sqlite3
from pathlib import Path

from pipeline.graph import STAGES
from pipeline.home import Home
from pipeline.store.artifact import MANIFEST
from pipeline.store.recipe import key
from tests.conftest import command, quick_run


def age(home: Path) -> dict[str, str]:
    """Give every artifact the recipe and the key of other code, wherever the key stands; returns new key -> old key."""
    aged = {}
    for stage, name in list(Home(home).store.list()):
        folder = home / "artifacts" / stage / name
        manifest = json.loads((folder / MANIFEST).read_bytes())
        manifest["recipe"]["code"] = {f"components.{stage}": "of an earlier version"}
        (folder / MANIFEST).write_text(json.dumps(manifest))
        aged[name] = key(manifest["recipe"])
        folder.rename(folder.with_name(aged[name]))
    for record in home.glob("runs/*/run.json"):
        text = record.read_text()
        for new, old in aged.items():
            text = text.replace(new, old)
        record.write_text(text)
    with sqlite3.connect(home / "mlflow.db") as database:
        for new, old in aged.items():
            database.execute("UPDATE model_version_tags SET value = ? WHERE value = ?", (old, new))
    database.close()
    return aged


def test_the_version_is_found_again_by_its_model_and_the_old_artifacts_can_go(home: Path) -> None:
    """Six artifacts are made again with the same bytes; no version, no promotion; gc deletes the six old ones."""
    before = {done["stage"]: done for done in json.loads(command(home, "show", "--json").stdout)["stages"]}
    versions, promotions = command(home, "models", "--json").stdout, (home / "promotions.jsonl").read_text()
    aged = age(home)

    after = {done["stage"]: done for done in quick_run(home)["stages"]}
    assert [stage for stage, done in after.items() if done["made"]] == [s for s in STAGES if not STAGES[s].effect]
    for stage in ("ingest", "validate", "normalize", "train", "evaluate"):
        assert (after[stage]["key"], after[stage]["digest"]) == (before[stage]["key"], before[stage]["digest"])
    assert command(home, "models", "--json").stdout == versions
    assert (home / "promotions.jsonl").read_text() == promotions

    deleted = json.loads(command(home, "gc", "--keep", "1", "--json").stdout)["artifacts"]
    assert {item.partition("/")[2] for item in deleted} == set(aged.values())
    assert [done["stage"] for done in quick_run(home)["stages"] if done["made"]] == []
