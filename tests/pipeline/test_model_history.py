"""The history of the registered models, as the promotion log tells it."""

from pathlib import Path

from components.registry import promotion_log
from components.registry.client import Registry
from components.registry.promotion_log import Promotion
from pipeline.home import Home
from pipeline.model_history import events


def test_of_one_second_the_last_event_comes_first(tmp_path: Path) -> None:
    """Times are whole seconds, and a rollback may follow a promotion at once."""
    home, second = Home(tmp_path), "2026-11-26T03:00:00+00:00"
    for action, version in (("promote", "1"), ("promote", "2"), ("rollback", "1")):
        line = Promotion(action=action, name="cats", version=version, model_sha256=version, time=second)  # type: ignore[arg-type]
        promotion_log.append(home.promotions, line)
    happened = events(home, Registry(home.tracking_uri))
    assert [(event.kind, event.version) for event in happened] == [
        ("rolled back", "1"),
        ("promoted", "2"),
        ("promoted", "1"),
    ]
