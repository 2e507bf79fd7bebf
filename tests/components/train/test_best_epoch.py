"""Which epoch's weights become the model."""

from pathlib import Path

import numpy as np
import pytest

from components.artifact_files import HistoryRow
from components.data.splits import Split
from components.models.saving import read_model
from components.settings.sections import Train
from components.train import checkpoint
from components.train.best_epoch import best_epoch, first_candidate
from tests.support.small_training import digests, history, interrupted, run, write_normalized


def rows(*val_losses: float) -> list[HistoryRow]:
    return [{"epoch": number, "val_loss": loss} for number, loss in enumerate(val_losses, 1)]


@pytest.mark.parametrize(
    ("settings", "first"),
    [
        ({"schedule": "onecycle", "epochs": 10}, 9),
        ({"schedule": "cosine", "epochs": 72}, 58),
        ({"schedule": "onecycle", "epochs": 1}, 1),
        ({"schedule": "plateau", "epochs": 10}, 1),
        ({"schedule": "constant", "epochs": 10}, 1),
        ({"schedule": "onecycle", "epochs": 10, "weights": "champion"}, 1),
    ],
)
def test_candidates_are_the_last_fifth_where_the_rate_falls(settings: dict[str, object], first: int) -> None:
    """All epochs of schedules that do not end, and of fine-tuning, whose phases each have a schedule."""
    assert first_candidate(Train(**settings)) == first  # type: ignore[arg-type]


def test_a_low_loss_before_the_rate_has_fallen_is_chance() -> None:
    """The best of the candidates is kept; of a training that ended before there are any, the best of all."""
    params = Train(schedule="onecycle", epochs=5, max_cycles=2)
    assert best_epoch(params, rows(0.1, 0.5, 0.4, 0.3, 0.2))["epoch"] == 5
    assert best_epoch(params, rows(0.1, 0.5, 0.4, 0.3, 0.2, 0.9, 0.8, 0.3, 0.2, 0.15))["epoch"] == 10
    assert best_epoch(params, rows(0.1, 0.5, 0.4))["epoch"] == 1


# in float32 also where the processor computes with bfloat16: the losses of epochs are compared with the stored model's
SETTINGS = {"augment": "none", "calibrate": False, "precision": "float32"}
TEN_EPOCHS = {"schedule": "onecycle", "epochs": 10, "patience": 10, **SETTINGS}


@pytest.fixture(scope="module")
def normalized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With shuffled labels of the training images: memorizing them raises the validation loss."""
    folder = write_normalized(tmp_path_factory.mktemp("normalize"))
    labels = np.load(folder / "train/labels.npy")
    np.save(folder / "train/labels.npy", np.random.default_rng(0).permutation(labels))
    return folder


@pytest.fixture(scope="module")
def trained(normalized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    run(normalized, folder, **TEN_EPOCHS)
    return folder


def test_the_stored_weights_are_those_of_the_best_candidate(normalized: Path, trained: Path) -> None:
    """An early epoch has the lowest validation loss; the model has that of the best late one."""
    losses = [row["val_loss"] for row in history(trained)]
    assert min(losses[:8]) < min(losses[8:])
    validation = Split(normalized / "validation")
    probabilities = read_model(trained / "out/model.keras")(validation.images()).numpy()
    loss = -np.log(probabilities[np.arange(len(validation)), validation.labels]).mean()
    assert loss == pytest.approx(min(losses[8:]), rel=1e-3)


@pytest.mark.parametrize("epoch", [8, 9])
def test_a_training_that_is_killed_around_the_first_candidate_gives_the_same_bytes(
    normalized: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    """Killed after the last epoch that is no candidate, and after the first that is one."""
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", interrupted(checkpoint.save, epoch))
        with pytest.raises(KeyboardInterrupt):
            run(normalized, tmp_path, **TEN_EPOCHS)
    assert run(normalized, tmp_path, **TEN_EPOCHS)["resumed_after_epoch"] == epoch
    assert digests(tmp_path) == digests(trained)
