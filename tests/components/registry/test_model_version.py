"""A registered version, whose tags anybody may have written."""

import pytest

from components.registry.model_version import ModelVersion


@pytest.mark.parametrize(("text", "accuracy"), [("0.99", 0.99), ("very good", None), (None, None)])
def test_an_accuracy_that_is_no_number_is_none(text: str | None, accuracy: float | None) -> None:
    """As with every tag, a person may have written it."""
    tags = {} if text is None else {"accuracy": text}
    assert ModelVersion("m", "1", tags=tags).accuracy == accuracy
