"""The state of a training: the model, its optimizer, the moving average of its weights, and the best ones so far."""

from dataclasses import dataclass

from components.settings.sections import Train
from components.system.tensorflow import KerasModel, Variable
from components.train import losses
from components.train.best_weights import BestWeights
from components.train.ema import WeightAverage
from components.train.optimizers import optimizer


@dataclass(frozen=True)
class TrainState:
    model: KerasModel  # compiled
    average: WeightAverage | None
    best: BestWeights

    @property
    def variables(self) -> list[Variable]:
        """All variables that the next step depends on, dropout's random state among them."""
        averages = self.average.variables if self.average else []
        return [*self.model.variables, *self.model.optimizer.variables, *averages]


def create_train_state(model: KerasModel, params: Train, steps: int, best: BestWeights | None = None) -> TrainState:
    """*model*, ready for epochs of *steps* batches; all variables exist afterwards, ready to be restored.

    *best* are the best weights of the phases before, if there are any.
    """
    model.compile(optimizer(model, params, steps), losses.loss(params), metrics=[losses.accuracy(params)])
    average = WeightAverage(model, params.ema) if params.ema else None
    return TrainState(model, average, best or BestWeights(model.weights))
