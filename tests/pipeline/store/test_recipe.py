"""Keys: what changes an artifact's name, and what must not."""

import hashlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.settings.sections import Gate, Ingest, Params, Train, Validate
from components.system.canonical import canonical
from components.system.source_code import find_module
from pipeline.graph import STAGES
from pipeline.store import recipe as store_recipe
from pipeline.store.code_hash import code_hashes
from pipeline.store.recipe import ARITHMETIC, Recipe, differences, key, recipe_of, runtime

ROOT = Path(__file__).parents[3]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
INPUTS = {"normalize": "d1"}


@given(JSON, JSON)
def test_two_values_have_one_spelling_only_if_they_are_the_same(first: object, second: object) -> None:
    """Canonical JSON runs nothing together: 1 and "1", ["ab"] and ["a", "b"], 1 and true all differ."""
    assert (canonical(first) == canonical(second)) == (_typed(first) == _typed(second))


def _typed(value: object) -> object:
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if isinstance(value, dict):
        return {name: _typed(item) for name, item in value.items()}
    return type(value), repr(value)


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_in_which_a_dictionary_was_filled_does_not_count(value: dict[str, int]) -> None:
    """A recipe built in another order is the same recipe."""
    assert canonical(value) == canonical(dict(reversed(value.items())))


@pytest.mark.parametrize("change", [{"epochs": 7}, {"seed": 1}, {"model": "dense"}, {"dropout": 0.2}])
def test_a_setting_that_can_change_the_bytes_changes_the_key(change: dict[str, object]) -> None:
    """Each setting of training names another model."""
    usual, changed = (recipe_of("train", Params(train=Train(**c)), INPUTS) for c in ({}, change))  # type: ignore[arg-type]
    assert key(usual) != key(changed)


def test_a_bound_of_a_check_changes_no_key() -> None:
    """A new gate judges again; it does not train, evaluate, export or validate again."""
    strict = Params(gate=Gate(min_accuracy=0.9999), validate=Validate(min_images=5))
    for stage in ("validate", "train", "evaluate", "export"):
        assert recipe_of(stage, strict, INPUTS) == recipe_of(stage, Params(), INPUTS)


def test_another_digest_among_the_inputs_changes_the_key() -> None:
    """Other data, other model."""
    assert recipe_of("train", Params(), {"normalize": "d2"}) != recipe_of("train", Params(), INPUTS)


def test_a_key_is_the_first_64_bits_of_the_hash_of_the_recipe() -> None:
    """Its length is that of every folder and address: another one would find nothing that was stored before."""
    recipe = recipe_of("train", Params(), INPUTS)
    assert key(recipe) == hashlib.sha256(canonical(recipe).encode()).hexdigest()[:16]


def test_the_images_of_the_source_are_an_input_of_ingest_alone() -> None:
    """Every other stage reads what a stage before it made of them."""
    params = Params(ingest=Ingest(source="digits"))
    naming = {stage for stage in STAGES if recipe_of(stage, params, INPUTS, "images")["inputs"] != INPUTS}
    assert naming == {"ingest"}
    assert recipe_of("ingest", params, INPUTS, "images")["inputs"] == {"source": "images", **INPUTS}


def test_the_threads_are_in_every_key_of_tensorflow_once() -> None:
    """Training has them among its settings, the others where they run."""
    params = Params(train=Train(threads=3))
    runtimes = {stage: recipe_of(stage, params, INPUTS)["runtime"] for stage in ("train", "evaluate", "export")}
    assert runtimes["train"] == recipe_of(stage="train", params=params, inputs=INPUTS, cache=None)["runtime"]
    assert {stage: of.get("threads") for stage, of in runtimes.items()} == {
        "train": None,
        "evaluate": "3",
        "export": "3",
    }


def test_a_stage_depends_on_the_code_it_reaches_and_on_no_other_stage() -> None:
    """The code of train is its module, the chosen network and what they import; not evaluate, not dense."""
    code = recipe_of("train", Params(), INPUTS)["code"]
    assert {"components.train.stage", "components.models.architectures.cnn_bn", "components.data.splits"} <= code.keys()
    assert (
        not {
            "components.evaluate.stage",
            "components.models.architectures.dense",
            "components.settings.sections",
            "components.findings",
        }
        & code.keys()
    )


def test_distributed_training_is_in_the_key_of_several_workers_alone() -> None:
    """A change to the way in which workers communicate trains nothing again that was trained by one."""

    def distributed(workers: int) -> set[str]:
        code = recipe_of("train", Params(train=Train(workers=workers)), INPUTS)["code"]
        return {name.removeprefix("components.train.distributed.") for name in code if ".distributed" in name}

    assert distributed(1) == set()
    assert distributed(2) == {"launcher", "worker", "collectives", "replica", "components.train.distributed"}


def test_each_source_has_its_own_code_in_the_key_of_ingest() -> None:
    """A change to the reader of folders does not ingest MNIST again."""
    params = Params()
    code = recipe_of("ingest", replace(params, ingest=replace(params.ingest, source="digits")), {}, "x")["code"]
    assert "components.ingest.sources.digits" in code
    assert (
        not {"components.ingest.sources.folder", "components.ingest.sources.tfds", "components.ingest.sources.mnist"}
        & code.keys()
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the code, to be edited."""
    for package in ("components", "pipeline"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def code_in(checkout: Path, stage: str) -> str:
    """The code part of the recipe of *stage*, computed by another process in *checkout*."""
    stage = f"components.{stage}.stage"
    script = f"from pipeline.store.code_hash import code_hashes; print(code_hashes().reached([{stage!r}]))"
    done = subprocess.run([sys.executable, "-c", script], cwd=checkout, capture_output=True, text=True, check=True)
    return done.stdout


def test_comments_layout_and_docstrings_do_not_count(checkout: Path) -> None:
    """A better comment trains nothing again."""
    before = code_in(checkout, "normalize")
    module = checkout / "components" / "normalize" / "stage.py"
    module.write_text(
        module.read_text().replace('"""Normalize:', '"""Now explained better. Normalize:') + "\n\n# a comment\n"
    )
    assert code_in(checkout, "normalize") == before


def test_a_change_to_an_imported_module_counts(checkout: Path) -> None:
    """Editing an import of a stage runs the stage again: a hash of its file alone would serve a stale result."""
    before = code_in(checkout, "normalize"), code_in(checkout, "validate")
    module = checkout / "components" / "data" / "splits.py"
    module.write_text(module.read_text().replace("SHARD_BYTES = 32 * 2**20", "SHARD_BYTES = 64 * 2**20"))
    after = code_in(checkout, "normalize"), code_in(checkout, "validate")
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_the_difference_of_two_recipes_in_words() -> None:
    """What `explain` prints names the setting with both values, the input and the file."""
    old = recipe_of("train", Params(), INPUTS)
    new = recipe_of("train", Params(train=Train(epochs=5)), {"normalize": "d2"})
    new["code"] = {**new["code"], "components.train.stage": "edited"}
    assert differences(old, new) == [
        f"train.epochs {Train().epochs} -> 5",
        "input normalize changed",
        "components/train/stage.py changed",
    ]


def test_a_difference_that_the_machine_made_says_how_to_undo_it() -> None:
    """Another machine, or one with fewer cores, is explained like any change, with the setting that fixes it."""
    two, eight = (recipe_of("train", Params(train=Train(threads=count)), INPUTS) for count in (2, 8))
    assert differences(two, eight) == [
        "train.threads 2 -> 8 (0 takes the cores of this machine; --set train.threads=2 keeps the old)"
    ]


def test_each_part_of_a_recipe_has_its_own_words() -> None:
    """Whatever a name is in another part: what is compared is the name within the part."""

    def recipe(value: str, **inputs: str) -> Recipe:
        names = dict.fromkeys(("corrections", "params"), value)
        return {"stage": "ingest", "code": names, "params": {**names}, "inputs": inputs, "runtime": names}

    one, other = recipe("1", apart="1", corrections="1"), recipe("2", apart="2", corrections="2")
    assert differences(one, other) == [
        "ingest.corrections '1' -> '2'",
        "ingest.params '1' -> '2'",
        "input apart changed",
        "corrections of labels changed",
        "corrections.py changed",
        "params.py changed",
        "corrections 1 -> 2",
        "params 1 -> 2",
    ]
    assert differences(recipe("1"), recipe("1", corrections="1")) == ["corrections of labels are new"]
    assert differences(recipe("1", corrections="1"), recipe("1")) == ["corrections of labels are gone"]
    new = {**one, "code": {"new": "1"}}
    assert differences(one, new) == ["corrections.py is gone", "new.py is new", "params.py is gone"]  # type: ignore[arg-type]


@pytest.mark.parametrize("variable", ["TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "XLA_FLAGS"])
def test_a_variable_that_changes_the_arithmetic_is_in_the_key(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """One that a user set to another value than usual: the bytes of what TensorFlow computes depend on it."""
    for name in ARITHMETIC:
        monkeypatch.delenv(name, raising=False)
    before = {stage: recipe_of(stage, Params(), INPUTS) for stage in ("normalize", "train", "export")}
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")  # as the project sets it
    assert all(recipe_of(stage, Params(), INPUTS) == recipe for stage, recipe in before.items())
    assert not ARITHMETIC.keys() & before["train"]["runtime"].keys()
    monkeypatch.setenv(variable, "0")
    assert [stage for stage in before if recipe_of(stage, Params(), INPUTS) != before[stage]] == ["train", "export"]


def test_versions_are_read_without_importing_anything_heavy() -> None:
    """The recipe of train names TensorFlow's version and TensorFlow stays unloaded."""
    script = (
        "import sys; from pipeline.store.recipe import runtime; print(runtime(('numpy', 'tensorflow', 'keras')));"
        "assert not {'numpy', 'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "'tensorflow': '2." in done.stdout


def test_tensorflow_for_processors_alone_is_the_same_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a distribution of its own; no other library is looked for under another name."""
    runtime.cache_clear()
    monkeypatch.setattr(store_recipe, "version", lambda name: f"of {name}")
    versions = runtime(("numpy", "tensorflow", "tf2onnx"))
    runtime.cache_clear()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert versions == {
        "python": python,
        "numpy": "of numpy",
        "tensorflow": "of tensorflow-cpu",
        "tf2onnx": "of tf2onnx",
    }


OWN = {
    "theirs/__init__.py": "",
    "theirs/nets.py": "import keras\nfrom .blocks import block\nfrom theirs import sizes\n\n\ndef net(): ...\n",
    "theirs/blocks.py": "def block(): ...\n",
    "theirs/sizes.py": "WIDTH = 3\n",
    "theirs/unused.py": "",
}


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's package with a network in theirs.nets, on the import path."""
    for name, text in OWN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    code_hashes.cache_clear()
    find_module.cache_clear()
    return tmp_path / "theirs"


def test_the_code_of_a_custom_network_is_in_the_key(theirs: Path) -> None:
    """Its module, its package and what it imports of that, by whichever form; not Keras, and nothing is imported."""
    params = Params(train=Train(model="theirs.nets:net"))
    before = recipe_of("train", params, INPUTS)["code"]
    own = {name for name in before if name.startswith("theirs")}
    assert own == {"theirs", "theirs.nets", "theirs.blocks", "theirs.sizes"}
    assert "components.models.custom" in before
    assert "keras" not in before
    assert "theirs" not in sys.modules
    (theirs / "sizes.py").write_text("WIDTH = 4\n")
    code_hashes.cache_clear()
    after = recipe_of("train", params, INPUTS)["code"]
    assert {name for name in before if before[name] != after[name]} == {"theirs.sizes"}


def test_the_key_of_a_custom_network_names_the_packages_that_its_files_import(theirs: Path) -> None:
    """An upgrade of one can change the network; of a package under another name than its distribution's, too."""
    (theirs / "blocks.py").write_text("import json, msgspec\nfrom PIL import Image\n\n\ndef block(): ...\n")
    usual, custom = (recipe_of("train", Params(train=Train(model=m)), INPUTS) for m in ("cnn_bn", "theirs.nets:net"))
    assert custom["runtime"].keys() - usual["runtime"].keys() == {"msgspec", "pillow"}
    params = Params(train=Train(model="theirs.nets:net"))
    for stage in ("normalize", "validate"):  # which build no network
        assert recipe_of(stage, params, INPUTS) == recipe_of(stage, Params(), INPUTS)


def test_a_networks_key_has_no_code_of_the_others(theirs: Path) -> None:
    """A built-in network does not depend on how custom ones are built, nor on the memory check."""
    code = recipe_of("train", Params(), INPUTS)["code"]
    outside = {
        "components.models.custom",
        "components.models.architectures.resnet",
        "components.models.catalog",
        "components.train.memory_check",
    }
    assert not outside & code.keys()
