"""Look up a network and check its settings without importing Keras or user code.

A network is a module of components.models.architectures with a function of the module's name. The module may also have
    UNUSED      names of settings that the network cannot use, such as ("depth",)
    PRECISION   the precision in which it trains fastest, where that is not bfloat16
    IMAGENET    the file of its ImageNet weights, and `imagenet`, which reads it (components.models.backbones)
A custom network is a user's function, "package.module:function" (components.models.custom).
"""

from importlib import import_module

from components.errors import ConfigError
from components.formatting import did_you_mean
from components.models.imagenet import ImagenetFile
from components.settings.augmentation import AUTO
from components.settings.sections import IMAGENET, MODELS, PER_IMAGE, Train
from components.system.source_code import defined_names, parse, source_file

CUSTOM_UNUSED = ("width", "depth", "dropout")  # a custom network gets the shape and the number of classes alone


def is_custom(name: str) -> bool:
    return ":" in name


def module_of(name: str) -> str:
    """The module that holds the network *name*."""
    return name.partition(":")[0] if is_custom(name) else f"components.models.architectures.{name}"


def unused_settings(name: str) -> tuple[str, ...]:
    """The settings that the network *name* cannot use."""
    if is_custom(name):
        return CUSTOM_UNUSED
    unused: tuple[str, ...] = getattr(import_module(module_of(name)), "UNUSED", ())
    return unused


def preferred_precision(name: str, default: str) -> str:
    """The precision in which the network *name* trains fastest: its own, or *default*."""
    return default if is_custom(name) else getattr(import_module(module_of(name)), "PRECISION", default)


def imagenet_file(name: str) -> ImagenetFile | None:
    """The file of the ImageNet weights of the network *name*, None where it has none."""
    return None if is_custom(name) else getattr(import_module(module_of(name)), "IMAGENET", None)


def check(name: str, settings: Train) -> None:
    """Raise ConfigError where there is no network *name*, or it cannot use a setting that was changed."""
    chosen = f"train.member_models={settings.member_models}" if settings.member_models else f"train.model={name}"
    if is_custom(name):
        _expect_function(name, chosen)
    default = Train()
    problems = [
        f"train.{setting} is {getattr(settings, setting)}, which {chosen} cannot use; "
        f"leave it at {getattr(default, setting)}"
        for setting in unused_settings(name)
        if getattr(settings, setting) != getattr(default, setting)
    ]
    if settings.weights == IMAGENET and imagenet_file(name) is None:
        backbones = " or ".join(f"train.model={known}" for known in MODELS if imagenet_file(known))
        problems.append(f"train.weights is {IMAGENET}, of which there are none for {chosen}; set {backbones}")
    if settings.standardize == PER_IMAGE and imagenet_file(name) is not None:
        problems.append(
            f"train.standardize is {PER_IMAGE}, and {chosen} scales pixels as its ImageNet weights expect; "
            f"set train.standardize={AUTO}"
        )
    if problems:
        raise ConfigError(*problems)


def _expect_function(name: str, chosen: str) -> None:
    """Raise ConfigError where a file defines no such function; an import in it counts as a definition."""
    module, _, function = name.partition(":")
    path = source_file(module)
    if path is None:
        raise ConfigError(
            f"{chosen}: there is no module {module}; expected a Python file in the current folder or in PYTHONPATH"
        )
    if function not in (names := defined_names(parse(path))):
        hint = did_you_mean(function, names)
        raise ConfigError(f"{chosen}: {path} has no function {function}" + (f"; {hint}" if hint else ""))
