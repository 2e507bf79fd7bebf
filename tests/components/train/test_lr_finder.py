"""The learning-rate finder: what it tries, what it suggests, and what it says where no rate will do."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from components.errors import ModelRejected
from components.settings.sections import Train
from components.train.lr_finder import EXPLODED, HIGHEST, LOWEST, STEPS, judge, smooth, sweep, write
from tests.support.small_training import SMALL, write_normalized

RATES = [LOWEST * (HIGHEST / LOWEST) ** (i / (STEPS - 1)) for i in range(STEPS)]


def test_a_tenth_of_the_rate_with_the_least_loss_is_suggested() -> None:
    """A valley at 0.01 gives 0.001 times what rates grow by in the 19 steps of the mean's lag; no number, no point."""
    losses = [1 + (math.log10(rate) + 2) ** 2 for rate in RATES]
    assert judge(RATES, losses).suggestion == pytest.approx(0.001 * (HIGHEST / LOWEST) ** (19 / STEPS), rel=0.1)
    found = judge(RATES, [*losses[:200], math.nan])
    assert len(found.rates) == len(found.losses) == 200


def test_the_mean_has_no_bias_from_where_it_begins() -> None:
    """A loss that stays as it is stays as it is."""
    assert smooth([3.0] * 5) == pytest.approx([3.0] * 5)


def test_a_loss_that_only_grows_is_told(tmp_path: Path) -> None:
    """No rate is suggested; the curve is drawn all the same, and the sentence names it."""
    found = judge(RATES, [float(i) for i in range(STEPS)])
    with pytest.raises(ModelRejected, match=r"no learning rate from 1e-06 to 10 lowered the loss .*learning-rates.png"):
        write(found, Train(), tmp_path)
    assert (tmp_path / "learning-rates.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "learning-rates.json").read_text())["suggestion"] is None


def test_a_sweep_ends_where_the_loss_explodes_and_its_suggestion_trains(tmp_path: Path) -> None:
    """It stops before the highest rate, suggests one between, and gives the same answer to the same seed."""
    normalized = write_normalized(tmp_path / "normalize")
    params = replace(Train(**SMALL), optimizer="sgd")
    found = sweep(normalized, params, 120)
    assert found.suggestion
    assert 1e-4 < found.suggestion < 1
    assert found.losses[-1] > EXPLODED * min(found.losses) or len(found.losses) == 120
    assert sweep(normalized, params, 120) == found
    write(found, params, tmp_path)
    written = json.loads((tmp_path / "learning-rates.json").read_text())
    assert written["rates"] == found.rates
