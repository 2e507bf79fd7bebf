"""Settings that do nothing without another one are refused before anything runs."""

from collections.abc import Mapping
from typing import Any

import pytest

from components.errors import ConfigError
from components.settings.fields import OnlyWith
from components.settings.sections import SECTIONS, Export, Train
from pipeline import config

# each setting that needs another: a value, and settings with which it does something
NEEDED: Mapping[str, tuple[object, dict[str, object]]] = {
    "train.momentum": (0.5, {"optimizer": "sgd"}),
    "train.weight_decay": (0.1, {"optimizer": "adamw"}),
    "train.frozen_epochs": (1, {"weights": "imagenet"}),
    "train.finetune_rate": (0.5, {"weights": "champion"}),
    "train.distill_weight": (0.1, {"teacher": "champion"}),
    "train.temperature": (5.0, {"teacher": "3"}),
    "export.sparsity": (0.5, {"formats": "tflite, pruned"}),
    "export.finetune_epochs": (1, {"formats": "pruned"}),
    "export.calibration_images": (50, {"formats": "int8"}),
    "promote.approval_hours": (1.0, {"approval": "always"}),
}


def test_the_settings_that_need_another_are_these() -> None:
    """One that is declared as such has a line above."""
    declared = {name for name, spec in config.SETTINGS.items() if spec.metadata["only_with"]}
    assert declared == NEEDED.keys()


@pytest.mark.parametrize("name", NEEDED)
def test_a_setting_is_refused_without_the_one_that_it_needs(name: str) -> None:
    """It would train or export again, for nothing; with the other it is taken, and its default always is."""
    section, _, short = name.partition(".")
    kind: Any = SECTIONS[section]
    value, others = NEEDED[name]
    spec = config.SETTINGS[name]
    assert value != spec.default
    without = {"formats": "tflite"} if section == "export" else {}
    with pytest.raises(ConfigError) as raised:
        kind(**{short: value, **without})
    need: OnlyWith = spec.metadata["only_with"]
    assert raised.value.problems == (
        f"{name} is {value}, which has an effect only with a setting such as --set {section}.{need.name}="
        f"{need.example}; add it, or leave {name} at {spec.default}",
    )
    assert getattr(kind(**{short: value, **others}), short) == value
    kind(**{short: spec.default, **without})
    kind(**{short: value, **without, need.name: need.example})  # what the message proposes


def test_weight_decay_goes_with_both_optimizers_that_have_it() -> None:
    """And momentum with sgd alone."""
    assert Train(optimizer="sgd", weight_decay=0.1, momentum=0.5).weight_decay == 0.1
    with pytest.raises(ConfigError, match=r"train\.momentum is 0\.5"):
        Train(optimizer="adamw", momentum=0.5)


def test_a_section_names_every_setting_without_effect() -> None:
    """Together, like all problems."""
    with pytest.raises(ConfigError) as raised:
        Export(formats="onnx", sparsity=0.5, finetune_epochs=1, calibration_images=50)
    assert [problem.partition(" ")[0] for problem in raised.value.problems] == [
        "export.sparsity", "export.finetune_epochs", "export.calibration_images",
    ]  # fmt: skip
