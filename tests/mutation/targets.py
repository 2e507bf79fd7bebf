"""Which modules `make mutate` changes, and the tests that have to notice: what judges a model and names an artifact."""

from typing import NamedTuple

ON_DISK = ("-k", "not in_a_bucket and not served and not at_once and not read_back and not share_a_digest")
WITHOUT_TENSORFLOW = (
    "-k",
    "not another_name and not common_class and not turned_round and not class_names and not its_evaluation",
)
MODULES: dict[str, tuple[str, ...]] = {
    "components/data/splits.py": ("tests/components/data/test_splits.py",),
    "components/evaluate/baseline.py": ("tests/components/evaluate/test_baseline.py",),
    "components/evaluate/check.py": ("tests/components/evaluate/test_check.py",),
    "components/export/check.py": ("tests/components/export/test_check.py",),
    "components/ingest/reading/content_split.py": (
        "tests/components/ingest/test_stratify.py",
        "tests/components/ingest/test_select.py",
    ),
    "components/metrics.py": ("tests/components/test_metrics.py",),
    "components/promote/comparison.py": (
        "tests/components/promote/test_other_classes.py",
        "tests/components/promote/test_stage.py",
        *WITHOUT_TENSORFLOW,
    ),
    "components/promote/noninferiority.py": ("tests/components/promote/test_noninferiority.py",),
    "components/promote/stage.py": (
        "tests/components/promote/test_stage.py",
        "tests/components/promote/test_approval.py",
        "tests/components/promote/test_by_hand.py",
        *WITHOUT_TENSORFLOW,
    ),
    "components/registry/model_files.py": ("tests/components/registry/test_model_files.py",),
    "components/registry/recorded_files.py": ("tests/components/registry/test_model_files.py",),
    "components/validate/anomalies.py": ("tests/components/validate/test_anomalies.py",),
    "pipeline/garbage.py": ("tests/pipeline/test_garbage.py", "tests/pipeline/test_housekeeping.py"),
    "pipeline/registered_files.py": ("tests/pipeline/test_registered_files.py",),
    "pipeline/store/artifact.py": (
        "tests/pipeline/store/test_local.py",
        "tests/pipeline/store/test_local_and_bucket.py",
        *ON_DISK,
    ),
    "pipeline/store/local.py": (
        "tests/pipeline/store/test_local.py",
        "tests/pipeline/store/test_many_artifacts.py",
        "tests/pipeline/store/test_local_and_bucket.py",
        *ON_DISK,
    ),
    "pipeline/store/recipe.py": (
        "tests/pipeline/store/test_recipe.py",
        "tests/pipeline/store/test_settings_in_key.py",
        "-k",
        "not spelling and not dictionary and not comments and not imported_module and not heavy",  # of other modules
    ),
}

# Kinds of mutation that are left out: an operator in place of one that means something else ends in a TypeError, and an
# identity in place of an equality, or "|" between two types, changes nothing.
LEFT_OUT = (
    r"core/ReplaceBinaryOperator_\w+_(FloorDiv|Mod|Pow|RShift|LShift|BitOr|BitAnd|BitXor)",
    r"core/ReplaceBinaryOperator_BitOr_\w+",
    r"core/ReplaceComparisonOperator_\w+_(Is|IsNot)",
    r"core/ReplaceComparisonOperator_(Is|IsNot)_(Eq|NotEq|Lt|LtE|Gt|GtE)",
    r"core/ReplaceUnaryOperator_\w+_Invert",
)


class Explained(NamedTuple):
    """Mutations of a line that no test can notice, with the reason."""

    module: str  # "" for any
    after: str  # the changed line, without indentation, or a part of it
    reason: str


EXPLAINED = (
    Explained("", "(frozen=False)", "mypy refuses an assignment to a field"),
    Explained("", ", /, ", "in place of the star before names: every call that there is still fits"),
    Explained("components/data/splits.py", "self._maps, self._taken = {}, ", "one byte of 16 MB sooner or later"),
    Explained("components/data/splits.py", "self._taken = -1 ", "one byte of 16 MB sooner or later"),
    Explained("components/data/splits.py", "def blocks(self, size: int = 409", "a block is any number of images"),
    Explained("components/data/splits.py", "if self._filled >= len(self._shard)", "it is never filled beyond its end"),
    Explained("components/data/splits.py", 'mmap_mode="r", allow_pickle=True', "an array of objects cannot be mapped"),
    Explained("components/export/check.py", "if agree >= n and", "no more agree than there are"),
    Explained("components/export/check.py", "certain = p < LEVEL", "a tail of a fair coin is never just 0.05"),
    Explained("components/metrics.py", "right_first * ~right_second", "the product of truth values is their and"),
    Explained("components/metrics.py", "right_second * ~right_first", "the product of truth values is their and"),
    Explained("components/metrics.py", "np.maximum(predicted + support, 2)", "a class that occurs once has no hit"),
    Explained("components/metrics.py", "matrix.sum(axis=1) != 0", "counts are never negative"),
    Explained("components/metrics.py", "np.clip(of_truth, TINY, 2.0)", "probabilities are at most 1"),
    Explained(
        "components/evaluate/baseline.py", '["wilson_low"] >= 0.99', "0.99 is 0.99 in percents and in tenths of one"
    ),
    Explained("components/validate/anomalies.py", "if not low - 1e-9 < share", "no two floats meet"),
    Explained("components/validate/anomalies.py", "<= share < high + 1e-9", "no two floats meet"),
    Explained("components/validate/anomalies.py", "most) < LEVEL", "no two floats meet"),
    Explained(
        "components/validate/anomalies.py", "'' if name < 'train' else", "of the two splits test alone comes before it"
    ),
    Explained("components/validate/anomalies.py", 'drawn and name <= "test"', "of the two splits test is the first"),
    Explained("components/validate/anomalies.py", 'if name >= "train" else 1', "of the two splits train is the last"),
    Explained("components/validate/anomalies.py", ".get(name, 0)", "the bound of the settings is 1 or more"),
    Explained(
        "components/validate/anomalies.py",
        "counts is None and pixels is None",
        "what is None raises a TypeError, with the same answer",
    ),
    Explained("components/validate/anomalies.py", "counts, strict=False", "there is a count for each class"),
    Explained("components/validate/anomalies.py", "count: int = -1)", "no list is shorter than none"),
    Explained("components/validate/anomalies.py", "count: int = 1)", "no list that is named is empty"),
    Explained("components/validate/anomalies.py", "'image' if count <= 1", "none is not reported"),
    Explained("components/validate/anomalies.py", "0 != pixels", "a pixel is never below 0"),
    Explained("components/validate/anomalies.py", "if more != 0 else", "no more are listed than there are"),
    Explained("components/validate/anomalies.py", "len(missing) <= 1", "a split without images was passed over before"),
    Explained("components/evaluate/check.py", "judged: int = 0", "none is as good as one: nothing is said of wear"),
    Explained("components/evaluate/check.py", "if judged == 1:", "the model itself is always counted"),
    Explained("components/evaluate/check.py", 'counts.pop("train", ', "read only where there are such suspects"),
    Explained("components/evaluate/check.py", '"file" in listed[ -1]', "all mistakes have a file, or none has"),
    Explained("components/evaluate/check.py", "if count != len(names)", "no more are named than there are"),
    Explained("components/evaluate/check.py", "if most == 1 or", "the largest bound that the settings take is 1"),
    Explained("components/evaluate/check.py", 'part["unit"] <= "0 to 255"', "every other unit is a word"),
    Explained(
        "pipeline/garbage.py", 'if folder.parent.name >= "work"', "no folder that has an owner comes after it by name"
    ),
    Explained("pipeline/store/artifact.py", "LARGE", "with threads or without, the hashes are the same"),
    Explained("pipeline/store/artifact.py", "TypedDict, total=True", "mypy alone reads it"),
    Explained(
        "pipeline/store/artifact.py", "document.keys() > Manifest", "a part that is missing is a KeyError: damage"
    ),
    Explained("pipeline/store/artifact.py", "paths), strict=False", "there is a hash for each name"),
    Explained("pipeline/store/local.py", "REMOVERS = ", "folders are removed by any number of threads"),
    Explained("pipeline/store/local.py", "withdrawn_at_once = ", "and in parts of any size"),
    Explained(
        "pipeline/store/local.py", "secrets.token_hex(", "a name that is unlikely enough with a digit more or less"
    ),
    Explained("pipeline/store/recipe.py", "params.train.workers != 1", "there is at least one worker"),
    Explained(
        "pipeline/store/recipe.py", 'if stage < "train" else {}', "of the stages with TensorFlow train is the last"
    ),
    Explained("pipeline/store/recipe.py", 'if part <= "code":', "of the parts that are left code is the first"),
    Explained("components/promote/noninferiority.py", "-margin) < -_quantile", "no two floats meet"),
    Explained("components/promote/noninferiority.py", "difference) >= z", "no two floats meet"),
    Explained("components/promote/noninferiority.py", "difference) >= -z", "no two floats meet"),
    Explained(
        "components/promote/noninferiority.py", "for _ in range( ", "the last halving is below what a float holds"
    ),
    Explained("components/promote/noninferiority.py", "> z, - 2.0, ", "a wider start leads to the same root"),
    Explained(
        "components/promote/noninferiority.py", "paired.difference, 2.0)", "a wider start leads to the same root"
    ),
    Explained("components/promote/noninferiority.py", "max( -1.0, ", "rounding alone would be below 0"),
    Explained("components/promote/noninferiority.py", "if variance == 0:", "rounding alone would be below 0"),
    Explained("components/promote/comparison.py", "if len(measured) != 2", "there are no more than two"),
    Explained("components/evaluate/baseline.py", "self.images != self.n", "a class has at most all of the images"),
)


def explained(module: str, after: str) -> bool:
    """Whether *after*, a changed line of *module*, is one that no test can notice."""
    return any(entry.module in ("", module) and entry.after in after for entry in EXPLAINED)
