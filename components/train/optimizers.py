"""Optimizers and learning-rate schedules, which are functions of the step alone.

constant   the rate
plateau    the rate, lowered where the validation loss stagnates (components.train.callbacks)
cosine     from 0 to the rate in `warmup` epochs, then to 0 along half a cosine (arXiv:1608.03983)
onecycle   up to the rate, then down to almost 0 (components.train.one_cycle)
"""

from typing import Any

from components.settings.sections import Train
from components.system.tensorflow import KerasModel, Optimizer, tensorflow

Rate = Any  # a number, or a keras.optimizers.schedules.LearningRateSchedule


def optimizer(model: KerasModel, params: Train, steps: int) -> Optimizer:
    """The optimizer of the weights of *model*, with its variables; *steps* is the number of batches in an epoch.

    Adam: arXiv:1412.6980. AdamW: arXiv:1711.05101. SGD with Nesterov's momentum: Sutskever et al., ICML 2013.
    Weight decay moves a weight by -rate * decay * weight per step, decoupled from its gradient. Biases and the scales
    of batch normalisation (one axis) are excluded, as their size says nothing about the complexity of the network.
    """
    tensorflow()
    built = _optimizer(params, rate(params, steps))
    if params.weight_decay:
        built.exclude_from_weight_decay(var_list=[v for v in model.trainable_variables if len(v.shape) < 2])
    built.build(model.trainable_variables)
    return built


def _optimizer(params: Train, rate: Rate) -> Optimizer:
    import keras

    if params.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    if params.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=params.weight_decay)
    decay = params.weight_decay or None
    return keras.optimizers.SGD(rate, momentum=params.momentum, nesterov=params.momentum > 0, weight_decay=decay)


def rate(params: Train, steps: int) -> Rate:
    """The learning rate: a number, or a schedule over `params.epochs` of *steps* batches, which then begins again."""
    from components.train.one_cycle import OneCycle, Repeated

    total = params.epochs * steps
    if params.schedule == "onecycle":
        schedule: Rate = OneCycle(params.learning_rate, total)
    elif params.schedule == "cosine":
        schedule = _cosine(params, steps, total)
    else:
        return params.learning_rate
    return Repeated(schedule, total) if params.max_cycles > 1 else schedule


def _cosine(params: Train, steps: int, total: int) -> Rate:
    import keras

    if warmup := round(params.warmup * steps):
        return keras.optimizers.schedules.CosineDecay(
            0.0, total - warmup, warmup_target=params.learning_rate, warmup_steps=warmup
        )
    return keras.optimizers.schedules.CosineDecay(params.learning_rate, total)
