"""The state of a training: the model, its optimizer, and the moving average of its weights."""

from dataclasses import dataclass

from components.settings.sections import Train
from components.system.tensorflow import KerasModel, Variable
from components.train import losses
from components.train.ema import WeightAverage
from components.train.optimizers import optimizer


@dataclass(frozen=True)
class TrainState:
    model: KerasModel  # compiled
    average: WeightAverage | None

    @property
    def variables(self) -> list[Variable]:
        """All variables that the next step depends on, dropout's random state among them: what a checkpoint holds."""
        averages = self.average.variables if self.average else []
        return [*self.model.variables, *self.model.optimizer.variables, *averages]


def create_train_state(model: KerasModel, params: Train, steps: int) -> TrainState:
    """*model*, ready for epochs of *steps* batches; all variables exist afterwards, ready to be restored."""
    model.compile(optimizer(model, params, steps), losses.loss(params), metrics=[losses.accuracy(params)])
    return TrainState(model, WeightAverage(model, params.ema) if params.ema else None)
