"""How a search ends is what failed first, whatever fails while MLflow is updated."""

from typing import cast

import pytest

from pipeline.tuning.tracking import SearchTracking
from pipeline.tuning.tune import _close


class Refusing:
    """The MLflow side of a search whose run cannot be closed."""

    def finish(self, state: str) -> None:
        raise KeyError(state)


def test_an_mlflow_run_that_cannot_be_closed_does_not_hide_why_the_search_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is a warning, so that the exception of the search goes on."""
    _close(cast("SearchTracking", Refusing()), "FAILED")
    assert "warning: the MLflow run of the search is not closed: 'FAILED'" in capsys.readouterr().err
