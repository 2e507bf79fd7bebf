"""What a key depends on, setting by setting and library by library: nothing that changes the bytes may be missing."""

from dataclasses import Field, fields
from typing import Any

import pytest

from components.settings.fields import OnlyWith
from components.settings.sections import FORMATS, SECTIONS, Params
from components.system import distributions as installed
from pipeline import config
from pipeline.graph import STAGES
from pipeline.store import recipe
from pipeline.store.code_hash import code_hashes
from pipeline.store.recipe import Recipe, key, modules_of, recipe_of

OTHER: dict[str, object] = {  # another value of the settings that take not every text
    "ingest.source": "mnist",
    "train.model": "dense",
    "train.augment": "rotate=5",
    "train.member_models": "dense",
    "train.weights": "imagenet",
    "export.formats": "tflite",
    "schedule.timezone": "Europe/Berlin",
    "schedule.cron": "@daily",
    "schedule.watch": "@daily",
    "schedule.housekeeping": "@daily",
    "schedule.train_pod": "/pod.yaml",
    "schedule.home": "/srv/pipeline",
    "serve.origins": "https://pictures.example.org",
}
# Settings whose value reaches keys in another way than as a setting of its own stage.
ELSEWHERE = {
    "ingest.source": {"ingest"},  # by the code of its source, and by the fingerprint of its images
    "train.threads": {"train", "evaluate", "export"},  # TensorFlow rounds by them, whatever it computes
}
# What a stage imports and its key does not name, with the reason.
UNNAMED = {
    "h5py": "reads and writes weights as they are",
    "flatbuffers": "reads and writes the metadata of a TFLite file as it is",
    "onnxruntime": "measures a file that is written already",
}


def other_value(name: str, spec: "Field[Any]") -> object:
    """A valid value of the setting *name* that is not its default."""
    default: Any = spec.default
    bounds = spec.metadata
    if name in OTHER:
        return OTHER[name]
    if bounds["choices"]:
        return next(choice for choice in bounds["choices"] if choice != default)
    if isinstance(default, bool):
        return not default
    if isinstance(default, str):
        return "other"
    if bounds["maximum"] is None:
        return default + 1
    return type(default)((default + bounds["maximum"]) / 2 if default != bounds["maximum"] else bounds["minimum"])


def params_with(name: str, value: object = None) -> Params:
    """Settings with *value* for *name*, None for its default, beside what the setting needs to have an effect."""
    section, _, short = name.partition(".")
    settings: dict[str, dict[str, object]] = {section: {}, "ingest": {"source": "digits"}}
    needed: OnlyWith | None = config.SETTINGS[name].metadata["only_with"]
    if needed:
        settings[section][needed.name] = ",".join(FORMATS) if needed.name == "formats" else needed.example
    if value is not None:
        settings[section][short] = value
    kinds: dict[str, Any] = SECTIONS
    return Params(**{part: kinds[part](**values) for part, values in settings.items()})


def recipes(params: Params) -> dict[str, Recipe]:
    """The recipe of each stage, each from inputs that stay the same."""
    return {stage: recipe_of(stage, params, {"input": "d1"}, "fingerprint") for stage in STAGES}


def changed(before: dict[str, Recipe], after: dict[str, Recipe]) -> set[str]:
    return {stage for stage in STAGES if key(before[stage]) != key(after[stage])}


@pytest.mark.parametrize("name", config.SETTINGS)
def test_a_setting_changes_the_key_of_its_own_stage_alone_and_only_if_it_is_in_it(name: str) -> None:
    """Every setting there is: what follows its stage sees the bytes that its stage made, and no setting of another."""
    spec = config.SETTINGS[name]
    value = other_value(name, spec)
    assert value != spec.default
    own = {name.partition(".")[0]} & STAGES.keys() if spec.metadata["in_key"] else set()
    assert changed(recipes(params_with(name)), recipes(params_with(name, value))) == ELSEWHERE.get(name, own)


def test_the_settings_outside_of_keys_are_bounds_names_and_places() -> None:
    """Of stages that leave an artifact; teacher, weights and corrections are in the key by a hash of what they say."""
    outside = {
        f"{stage}.{f.name}" for stage in STAGES for f in fields(SECTIONS[stage]) if not f.metadata["in_key"]
    }  # fmt: skip
    assert {name for name in outside if not name.startswith(("register.", "promote."))} == {
        *(f"ingest.{name}" for name in ("source", "data_dir", "tfds_dir", "mirror", "labels", "max_unreadable_share")),
        "ingest.corrections",
        *(f"validate.{f.name}" for f in fields(SECTIONS["validate"])),
        "train.teacher",
        "train.weights",
    }


def test_another_version_of_a_library_changes_the_keys_of_the_stages_that_compute_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing that an older library made is taken for what the new one makes; other stages keep their artifacts."""
    params = params_with("export.formats", ",".join(FORMATS))
    before, users = recipes(params), dict[str, set[str]]()
    for stage in STAGES:
        assert "python" in before[stage]["runtime"]
        for name in recipe.distributions(stage, params):
            users.setdefault(name, set()).add(stage)
    assert {"numpy", "pillow", "matplotlib", "tensorflow", "keras", "ai-edge-litert", "onnx", "tf2onnx"} <= users.keys()
    for name in users:
        recipe.runtime.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(recipe, "version", lambda asked, name=name: _next(asked, name))
            assert changed(before, recipes(params)) == users[name], name
    recipe.runtime.cache_clear()
    assert changed(before, recipes(params)) == set()


def _next(distribution: str, upgraded: str) -> str:
    """The version of *distribution*, which is another one for *upgraded*; the build for processors is TensorFlow."""
    version = installed.version(distribution)
    return f"{version}.1" if distribution.removesuffix("-cpu") == upgraded else version


def test_the_converters_of_the_formats_are_in_the_key_of_export_alone() -> None:
    """No other stage writes a file in any of them."""
    params = params_with("export.formats", ",".join(FORMATS))
    more = {stage for stage in STAGES if set(recipe.distributions(stage, params)) - {*STAGES[stage].runtime}}
    assert more == {"export"}


@pytest.mark.parametrize("stage", [name for name, stage in STAGES.items() if not stage.effect])
def test_a_stage_names_every_library_that_it_imports(stage: str) -> None:
    """In its key, or above with the reason why not."""
    params = params_with("train.seed")
    imported = code_hashes().installed(modules_of(stage, params))
    names = {"pillow" if top == "PIL" else top.replace("_", "-") for top in imported}
    assert names <= {*recipe.distributions(stage, params), *UNNAMED}
