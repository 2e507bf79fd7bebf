"""Learning-rate finder: the rates that it tries, the one that it suggests, and the message where no rate works."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from components.errors import ModelRejected
from components.settings.sections import Train
from components.train.lr_finder import EXPLODED, HIGHEST, LOWEST, STEPS, smooth, suggest, sweep, write
from tests.support.small_training import SMALL, write_normalized

RATES = [LOWEST * (HIGHEST / LOWEST) ** (i / (STEPS - 1)) for i in range(STEPS)]


def test_a_tenth_of_the_rate_with_the_minimal_loss_is_suggested() -> None:
    """A minimum at 0.01 gives 0.001, times the growth of the rate in the 19 steps of the mean's lag; NaN is ignored."""
    losses = [1 + (math.log10(rate) + 2) ** 2 for rate in RATES]
    assert suggest(RATES, losses).suggestion == pytest.approx(0.001 * (HIGHEST / LOWEST) ** (19 / STEPS), rel=0.1)
    result = suggest(RATES, [*losses[:200], math.nan])
    assert len(result.rates) == len(result.losses) == 200


def test_the_moving_average_is_not_biased_by_its_start() -> None:
    """A constant loss has a constant average."""
    assert smooth([3.0] * 5) == pytest.approx([3.0] * 5)


def test_a_loss_that_only_grows_is_reported(tmp_path: Path) -> None:
    """No rate is suggested; the curve is still drawn, and the message names its file."""
    result = suggest(RATES, [float(i) for i in range(STEPS)])
    with pytest.raises(ModelRejected, match=r"no learning rate from 1e-06 to 10 lowered the loss .*learning-rates.png"):
        write(result, Train(), tmp_path)
    assert (tmp_path / "learning-rates.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "learning-rates.json").read_text())["suggestion"] is None


def test_a_sweep_ends_where_the_loss_explodes_and_its_suggestion_trains(tmp_path: Path) -> None:
    """It stops before the highest rate, suggests one between, and repeats itself for the same seed."""
    normalized = write_normalized(tmp_path / "normalize")
    params = replace(Train(**SMALL), optimizer="sgd")
    result = sweep(normalized, params, 120)
    assert result.suggestion
    assert 1e-4 < result.suggestion < 1
    assert result.losses[-1] > EXPLODED * min(result.losses) or len(result.losses) == 120
    assert sweep(normalized, params, 120) == result
    write(result, params, tmp_path)
    written = json.loads((tmp_path / "learning-rates.json").read_text())
    assert written["rates"] == result.rates
