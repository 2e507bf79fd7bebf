"""What moves the weights, and at which rate: functions of the steps done, so that nothing has to be remembered.

constant   the rate
plateau    the rate, lowered where the validation loss stands still (components.train.callbacks)
cosine     0 to the rate in `warmup` epochs, then down to 0 as half a cosine (arXiv:1608.03983)
onecycle   up to the rate and down again, momentum the other way (components.train.one_cycle)
"""

from typing import Any

from components.settings.sections import Train
from components.system.tensorflow import tensorflow


def optimizer(model: Any, params: Train, steps: int) -> Any:
    """The optimizer of *model*'s weights, its variables made; *steps* is the number of batches in an epoch.

    Adam: arXiv:1412.6980. AdamW: arXiv:1711.05101. SGD with Nesterov's momentum: Sutskever et al., ICML 2013.
    Weight decay moves a weight by -rate * decay * weight per step, apart from its gradient; what has one axis (biases,
    the scales of batch normalisation) is left alone, as its size says nothing about the complexity of the network.
    """
    tensorflow()
    made = _made(params, rate(params, steps), steps)
    if params.weight_decay:
        made.exclude_from_weight_decay(var_list=[v for v in model.trainable_variables if len(v.shape) < 2])
    made.build(model.trainable_variables)
    return made


def _made(params: Train, rate: Any, steps: int) -> Any:
    import keras

    from components.train.one_cycle import CyclingSGD

    decay = params.weight_decay or None
    if params.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    if params.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=params.weight_decay)
    if params.schedule == "onecycle" and params.momentum:
        return CyclingSGD(rate, params.momentum, params.epochs * steps, weight_decay=decay)
    return keras.optimizers.SGD(rate, momentum=params.momentum, nesterov=params.momentum > 0, weight_decay=decay)


def rate(params: Train, steps: int) -> Any:
    """The learning rate as Keras takes it: a number, or a schedule over `params.epochs` of *steps* batches."""
    import keras

    from components.train.one_cycle import OneCycle

    total = params.epochs * steps
    if params.schedule == "onecycle":
        return OneCycle(params.learning_rate, total)
    if params.schedule == "cosine":
        if rising := round(params.warmup * steps):
            return keras.optimizers.schedules.CosineDecay(
                0.0, total - rising, warmup_target=params.learning_rate, warmup_steps=rising
            )
        return keras.optimizers.schedules.CosineDecay(params.learning_rate, total)
    return params.learning_rate
