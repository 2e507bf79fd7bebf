"""Every setting of the pipeline: one frozen dataclass per stage, checked on creation.

A setting is declared once, with its default, its help text and its bounds; the command line and the form in the
Airflow UI are made from these declarations. Standard library only: a DAG file may import this.
"""

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import cast

from components.errors import ConfigError
from components.formatting import did_you_mean
from components.settings.augmentation import canonical
from components.settings.fields import OnlyWith, Section, setting
from components.system.files import expanded

ARCHITECTURES = Path(__file__).parents[1] / "models" / "architectures"  # a module for each network
MODELS = tuple(sorted(path.stem for path in ARCHITECTURES.glob("[a-z]*.py")))
PRECISIONS = ("auto", "float32", "mixed_bfloat16")
SCHEDULES = ("auto", "plateau", "cosine", "onecycle", "constant")
OPTIMIZERS = ("adam", "adamw", "sgd")
LARGEST_SEED = 2**32 - 1  # NumPy's
FITS = ("pad", "crop", "stretch")
FILTERS = ("lanczos", "bicubic", "hamming", "bilinear", "box")  # Pillow's
LOSSES = ("sparse", "one_hot")
OF_TRAINING, PER_IMAGE = "training", "image"  # values of train.standardize
NO_WEIGHTS, IMAGENET = "none", "imagenet"  # values of train.weights
NO_COLUMN = "none"  # value of ingest.split_column
WRITERS = Path(__file__).parents[1] / "export" / "writers"  # a module for each export format
FIRST_FORMATS = ("saved_model", "tflite", "float16", "dynamic", "int8", "pruned", "onnx", "keras")  # then by name
FORMATS = tuple(
    sorted(
        (path.stem for path in WRITERS.glob("[a-z]*.py")),
        key=lambda name: (FIRST_FORMATS.index(name) if name in FIRST_FORMATS else len(FIRST_FORMATS), name),
    )
)

NOT_IN_NAMES = re.compile(r"[/:?]")  # they have a meaning in models:/NAME/1, by which a model is loaded
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters, and bytes that are no UTF-8
LONGEST_NAME = 256  # characters: the width of the columns of MLflow's database
EXPECTED_NAME = "expected a name"
LONGEST_DAG_NAME, LONGEST_TAG = 150, 100  # characters: Airflow's columns have room for 250 and 100


def words(text: str) -> list[str]:
    """The words of a comma-separated list."""
    return [word.strip() for word in text.split(",") if word.strip()]


def canonical_formats(text: str) -> str:
    """The formats that *text* names, each once and in the order of FORMATS: equal sets give equal keys.

    Raises ValueError for the first format that does not exist.
    """
    formats = words(text)
    if not formats:
        raise ValueError(f"expected at least one of {', '.join(FORMATS)}")
    for name in formats:
        if name not in FORMATS:
            hint = did_you_mean(name, FORMATS) or f"expected some of {', '.join(FORMATS)}"
            raise ValueError(f"there is no format {name!r}; {hint}")
    return ",".join(name for name in FORMATS if name in formats)


def network(name: str) -> str:
    """*name*, one of MODELS or a custom network, "package.module:function"; raises ValueError where it is neither."""
    module, colon, function = name.partition(":")
    if name in MODELS or (colon and all(part.isidentifier() for part in (*module.split("."), function))):
        return name
    hint = did_you_mean(name, MODELS)
    raise ValueError(
        f"expected one of {', '.join(MODELS)}, or package.module:function" + (f" ({hint})" if hint else "")
    )


def networks(text: str) -> str:
    """The networks in a comma-separated list; raises ValueError where `network` does."""
    return ",".join(network(name.strip()) for name in text.split(",") if name.strip())


def initial_weights(text: str) -> str:
    """*text*, what a training starts from; raises ValueError where it is empty or a file of another kind."""
    if not text:
        raise ValueError(
            f"expected {NO_WEIGHTS}, {IMAGENET}, FILE.keras, or a registered version such as champion or 3"
        )
    if Path(text).suffix == ".keras":
        return expanded(text)
    if "/" in text or Path(text).suffix:
        raise ValueError("expected a file that ends in .keras, as the pipeline writes it")
    return text


def queue(name: str) -> str:
    """*name*, of a queue or pool, or empty; raises ValueError where `celery worker --queues` cannot take it."""
    if any(character.isspace() or character == "," for character in name):
        raise ValueError("expected one name without spaces and commas, such as train")
    return name


def pod_template(file: str) -> str:
    """*file*, an absolute path or empty; raises ValueError for a relative path."""
    if not file or file.startswith("/"):
        return file
    raise ValueError("expected the absolute path that the file has for Airflow's scheduler")


def dag_name(name: str) -> str:
    """*name*, which the ids of DAGs begin with, or empty; raises ValueError where Airflow cannot take it."""
    if name and not re.fullmatch(rf"[\w.-]{{1,{LONGEST_DAG_NAME}}}", name):
        raise ValueError(f"expected letters, digits, '_', '-' and '.', at most {LONGEST_DAG_NAME} of them")
    return name


def tags(text: str) -> str:
    """The words of a comma-separated list; raises ValueError for one that is too long for Airflow's database."""
    for tag in words(text):
        if len(tag) > LONGEST_TAG:
            raise ValueError(f"expected tags of at most {LONGEST_TAG} characters, separated by commas")
    return ",".join(words(text))


def workspace(path: str) -> str:
    """*path*, an absolute one or empty; raises ValueError for a relative path."""
    if not path or Path(expanded(path)).is_absolute():
        return expanded(path)
    raise ValueError("expected an absolute path: workers are started in any folder")


def registered_name(name: str) -> str:
    """*name*, of a registered model, or empty; raises ValueError where MLflow, its database or a URI cannot take it."""
    if wrong := NOT_IN_NAMES.search(name):
        raise ValueError(f"{EXPECTED_NAME}, such as pets-classifier, without {wrong[0]!r}")
    if name in (".", ".."):
        raise ValueError(f"{EXPECTED_NAME}, such as pets-classifier")
    return experiment_name(name)


def experiment_name(name: str) -> str:
    """*name*, of an MLflow experiment, or empty; raises ValueError where MLflow or its database cannot take it."""
    if name and not name.strip():
        raise ValueError(f"{EXPECTED_NAME}; empty means the default")
    if wrong := CONTROL.search(name):
        raise ValueError(f"{EXPECTED_NAME} without {wrong[0]!r}")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"{EXPECTED_NAME} of at most {LONGEST_NAME} characters; this has {len(name)}")
    return name


def web_origins(text: str) -> str:
    """The origins in a comma-separated list; raises ValueError for one that a browser would not send."""
    for origin in words(text):
        if not re.fullmatch(r"https?://[^/\s*]+", origin):
            raise ValueError("expected addresses without a path, such as https://pictures.example.org")
    return ",".join(words(text))


@dataclass(frozen=True)
class Ingest(Section):
    source: str = setting(
        "auto",
        "auto, a data set such as mnist, digits or tfds:NAME, s3://BUCKET/PREFIX, or a folder or archive of images",
        spelling=expanded,
        in_key=False,
    )
    data_dir: str = setting(
        "", "folder with MNIST's four IDX files (environment: MNIST_DIR)", spelling=expanded, in_key=False
    )
    tfds_dir: str = setting(
        "", "folder of tensorflow-datasets (environment: TFDS_DATA_DIR)", spelling=expanded, in_key=False
    )
    mirror: str = setting("", "address to download MNIST from instead of the usual one", in_key=False)
    labels: str = setting(
        "",
        "table of labels, .csv, .tsv or .parquet; empty: looked for beside the images",
        spelling=expanded,
        in_key=False,
    )
    file_column: str = setting("", "its column of file names; empty: found by its name")
    label_column: str = setting("", "its column of labels; empty: found by its name")
    split_column: str = setting("", "its column of train, val and test; empty: found by its name, none: not used")
    image_size: int = setting(
        0,
        "height and width in pixels; 0: chosen from the images where they are large or differ in size",
        minimum=0,
        maximum=1024,
    )
    fit: str = setting(
        "pad", "where the aspect ratio of an image differs: pad (repeat its edge pixels), crop or stretch", choices=FITS
    )
    resize: str = setting("lanczos", "filter by which images are resized: lanczos (sharpest) to box", choices=FILTERS)
    channels: int = setting(0, "1: grey, 3: colour, 0: unchanged", choices=(0, 1, 3))
    test_share: float = setting(
        0.15, "share of the images in the test split, where the source has none", minimum=0.01, maximum=0.9
    )
    corrections: str = setting(
        "auto",
        "file of corrected labels, as a review writes it; auto: that of the data set in the workspace; empty: none",
        spelling=expanded,
        in_key=False,
    )
    max_unreadable_share: float = setting(
        0.01,
        "maximum share of image files that cannot be read, which are left out; 0: none, otherwise always a single one",
        minimum=0, maximum=1, in_key=False,
    )  # fmt: skip


@dataclass(frozen=True)
class Validate(Section):
    """Bounds that the check applies to the statistics; a new bound is checked without running the stage again."""

    schema: str = setting(
        "",
        "schema file that the data must comply with; empty: inferred from the data",
        spelling=expanded,
        in_key=False,
    )
    min_images: int = setting(100, "minimum number of training images", minimum=1, in_key=False)
    max_class_share_change: float = setting(
        0.05, "maximum difference of a class share from the schema's", minimum=0, maximum=1, in_key=False
    )
    max_constant_share: float = setting(
        0.01, "maximum share of images of a single colour", minimum=0, maximum=1, in_key=False
    )
    max_duplicate_share: float = setting(
        0.02, "maximum share of test images that are also in training", minimum=0, maximum=1, in_key=False
    )
    max_class_drift: float = setting(
        0.1, "maximum Jensen-Shannon distance of the class shares from those of the champion's data",
        minimum=0, maximum=1, in_key=False,
    )  # fmt: skip
    max_brightness_drift: float = setting(
        0.1,
        "maximum difference of mean brightness (0 to 1) from that of the champion's data",
        minimum=0,
        maximum=1,
        in_key=False,
    )


@dataclass(frozen=True)
class Normalize(Section):
    validation_share: float = setting(
        0.1, "share of the training images held out for validation", minimum=0.01, maximum=0.5
    )
    seed: int = setting(0, "seed of the choice of validation images", minimum=0)


@dataclass(frozen=True)
class Train(Section):
    model: str = setting(
        "cnn_bn", "network: cnn_bn, vgg, resnet, ... (docs/training.md), or package.module:function", spelling=network
    )
    epochs: int = setting(
        0, "epochs of the learning-rate schedule; 0: derived from the images", minimum=0, maximum=10_000
    )
    max_cycles: int = setting(
        0,
        "times that the schedule may run while the validation loss still falls; 0: derived, 1 where epochs are set",
        minimum=0,
        maximum=100,
    )
    batch_size: int = setting(0, "images per training step; 0: derived from the images", minimum=0, maximum=65_536)
    width: float = setting(1.0, "factor on the number of channels of each layer", minimum=0.1, maximum=8)
    depth: int = setting(
        0, "number of blocks (resnet: per stage); 0: the network's default for the images", minimum=0, maximum=16
    )
    dropout: float = setting(0.1, "dropout rate before the last layer", minimum=0, maximum=0.95)
    l2: float = setting(0.0, "L2 regularization added to the loss", minimum=0, maximum=1)
    optimizer: str = setting("adam", "optimizer", choices=OPTIMIZERS)
    learning_rate: float = setting(
        0.0, "initial (or peak) learning rate; 0: derived from the schedule and the optimizer", minimum=0, maximum=10
    )
    momentum: float = setting(
        0.9, "Nesterov momentum of sgd", minimum=0, maximum=0.999, only_with=OnlyWith("optimizer", "sgd", ("sgd",))
    )
    weight_decay: float = setting(
        0.0, "decoupled weight decay per step, relative to the learning rate (adamw, sgd)", minimum=0, maximum=1,
        only_with=OnlyWith("optimizer", "adamw", ("adamw", "sgd")),
    )  # fmt: skip
    schedule: str = setting(
        "auto", "learning-rate schedule; auto: onecycle, or cosine with a warmup", choices=SCHEDULES
    )
    warmup: float = setting(0.0, "epochs of linear warm-up before cosine", minimum=0, maximum=1000)
    loss: str = setting("sparse", "cross-entropy on class numbers (sparse) or on one-hot labels", choices=LOSSES)
    label_smoothing: float = setting(
        0.0, "label smoothing: share of each label spread over the other classes", minimum=0, maximum=0.5
    )
    class_weights: str = setting(
        "none",
        "class weights in the loss; balanced: inversely proportional to class frequency",
        choices=("none", "balanced"),
    )
    ema: float = setting(
        0.0,
        "decay of the exponential moving average of the weights, which becomes the model; 0: none",
        minimum=0,
        maximum=0.99999,
    )
    calibrate: bool = setting(
        True, "divide the logits by a temperature, fitted on the validation split, where that improves probabilities"
    )
    patience: int = setting(
        0,
        "epochs without a better validation loss before training stops; 0: derived from the schedule",
        minimum=0,
    )
    augment: str = setting(
        "auto",
        "augmentation, such as rotate=10,shift=0.1,flip_horizontal,brightness=0.2 (docs/training.md), auto or none",
        spelling=canonical,
    )
    standardize: str = setting(
        "auto",
        "mean and standard deviation that pixels are scaled by: of all training images (training) or of each image by "
        "itself (image); auto: image where colours alone say nothing about the class",
        choices=("auto", OF_TRAINING, PER_IMAGE),
    )
    members: int = setting(1, "number of networks in the ensemble, each with its own seed", minimum=1, maximum=64)
    member_models: str = setting(
        "", "networks of the ensemble, such as cnn_bn,resnet; empty: train.model for all", spelling=networks
    )
    teacher: str = setting(  # the key holds its model's sha256 instead: an alias moves, and two names can be one model
        "", "registered version to distil from, such as 3 or champion; empty: none", in_key=False
    )
    weights: str = setting(  # the key holds their sha256 instead
        NO_WEIGHTS,
        "weights to start from: none, imagenet, FILE.keras, or a registered version such as 3 or champion",
        spelling=initial_weights,
        in_key=False,
    )
    frozen_epochs: int = setting(
        3, "first epochs, in which layers with weights of train.weights keep them", minimum=0, maximum=10_000,
        only_with=OnlyWith("weights", "imagenet"),
    )  # fmt: skip
    finetune_rate: float = setting(
        0.1, "factor on the learning rate while those layers are trained", minimum=1e-6, maximum=1,
        only_with=OnlyWith("weights", "imagenet"),
    )  # fmt: skip
    distill_weight: float = setting(
        0.7, "weight of the distillation loss (0 to 1)", minimum=0, maximum=1, only_with=OnlyWith("teacher", "champion")
    )
    temperature: float = setting(
        3.0, "temperature of the distillation", minimum=1, maximum=100, only_with=OnlyWith("teacher", "champion")
    )
    workers: int = setting(
        1, "worker processes of a distributed training, each with its share of every batch", minimum=1, maximum=64
    )
    precision: str = setting(
        "auto", "precision; auto: bfloat16 where the CPU computes faster with it", choices=PRECISIONS
    )
    threads: int = setting(
        0, "threads in which each worker computes; 0: the cores that this process may use", minimum=0, maximum=1024
    )
    seed: int = setting(
        0, "seed of initial weights, shuffling, dropout and augmentation", minimum=0, maximum=LARGEST_SEED
    )

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks of this training: one, or those that the members of an ensemble cycle through."""
        return tuple(self.member_models.split(",")) if self.member_models else (self.model,)

    def conflicts(self) -> list[str]:
        """Settings that have no effect because of another one."""
        problems = []
        if self.member_models and len(self.networks) > self.members:
            problems.append(
                f"train.member_models names {len(self.networks)} networks, and train.members is {self.members}; "
                f"set train.members={len(self.networks)} or more"
            )
        if self.seed + self.members - 1 > LARGEST_SEED:
            problems.append(
                f"train.seed is {self.seed}, and the last of train.members={self.members} would have a seed above "
                f"{LARGEST_SEED}; take a smaller one"
            )
        if self.batch_size and self.workers > self.batch_size:
            problems.append(
                f"train.workers is {self.workers}, and train.batch_size {self.batch_size} has no image for each; "
                f"set train.batch_size={self.workers} or more"
            )
        if self.max_cycles > 1 and (self.workers > 1 or self.weights != NO_WEIGHTS):
            who = f"several workers (train.workers={self.workers})" if self.workers > 1 else "a training with weights"
            problems.append(
                f"train.max_cycles is {self.max_cycles}, and {who} runs the schedule once; set train.max_cycles=1"
            )
        return problems + self._warmup_conflicts()

    def _warmup_conflicts(self) -> list[str]:
        """Warm-up that the schedule does not have, or that takes all its epochs."""
        frozen = self.frozen_epochs if self.weights != NO_WEIGHTS and self.frozen_epochs < self.epochs else 0
        left = self.epochs - frozen
        if self.warmup and self.schedule not in ("auto", "cosine"):
            return [
                f"train.warmup is {self.warmup:g}, and train.schedule {self.schedule} has no warm-up; "
                "use --set train.schedule=cosine, or set train.warmup=0"
            ]
        if not self.epochs or self.warmup < left:
            return []
        what = f"the {left} after train.frozen_epochs={frozen}" if frozen else f"train.epochs, which is {left}"
        return [f"train.warmup is {self.warmup:g} epochs; expected fewer than {what}"]


@dataclass(frozen=True)
class Evaluate(Section):
    mistakes: int = setting(36, "number of mistakes to draw", minimum=1, maximum=400)
    corruption_images: int = setting(
        1000,
        "number of test images to corrupt, in seven ways and five severities; 0: none",
        minimum=0,
        maximum=1_000_000,
    )
    suspects: int = setting(
        36, "number of suspected label errors to list and draw, of held-out images and of training images",
        minimum=0, maximum=400,
    )  # fmt: skip
    training_labels: int = setting(
        20_000,
        "number of training labels to compare with those of the nearest images; 0: none",
        minimum=0,
        maximum=100_000,
    )


@dataclass(frozen=True)
class Gate(Section):
    """Bounds that the checks after training apply; a new bound is checked without running a stage again."""

    min_accuracy: float = setting(
        0.0, "minimum accuracy on the test split (0 to 1); 0: no bound beyond the baseline", minimum=0, maximum=1,
        in_key=False,
    )  # fmt: skip
    min_class_recall: float = setting(
        0.0, "minimum recall of every class (0 to 1); 0: no bound", minimum=0, maximum=1, in_key=False
    )
    min_slice_accuracy: float = setting(
        0.0, "minimum accuracy on every slice (thin, thick, slanted, dark, ...); 0: no bound", minimum=0, maximum=1,
        in_key=False,
    )  # fmt: skip
    max_corruption_error: float = setting(
        1.0, "maximum mean error on corrupted images (0 to 1)", minimum=0, maximum=1, in_key=False
    )
    max_overfit: float = setting(
        0.03, "maximum excess of training over test accuracy before a warning", minimum=0, maximum=1,
        in_key=False,
    )  # fmt: skip
    max_export_loss: float = setting(
        0.001, "maximum loss of accuracy by a quantized or pruned export (0 to 1)", minimum=0, maximum=1,
        in_key=False,
    )  # fmt: skip
    budget_format: str = setting(
        "int8", "exported format that the budgets below apply to", choices=FORMATS, in_key=False
    )
    max_bytes: int = setting(0, "maximum size of that file in bytes; 0: no bound", minimum=0, in_key=False)
    max_latency_ms: float = setting(
        0.0, "maximum median latency of one image on one thread, in milliseconds; 0: no bound", minimum=0, in_key=False
    )
    max_latency_ratio: float = setting(
        0.0, "maximum latency relative to the float32 TFLite file of the same run; 0: no bound", minimum=0, in_key=False
    )
    max_regression: float = setting(
        0.001, "maximum loss of accuracy against the champion (0 to 1)", minimum=0, maximum=1, in_key=False
    )
    confidence: float = setting(
        0.95, "confidence with which a challenger must be worse by more than that to be rejected",
        minimum=0.5, maximum=0.9999, in_key=False,
    )  # fmt: skip
    allow_removed_classes: bool = setting(
        False, "promote a model that no longer knows every class of the champion", in_key=False
    )


@dataclass(frozen=True)
class Register(Section):
    name: str = setting("", "registered model; empty: SOURCE-classifier", spelling=registered_name, in_key=False)
    experiment: str = setting(
        "", "MLflow experiment; empty: the registered model's name", spelling=experiment_name, in_key=False
    )


@dataclass(frozen=True)
class Export(Section):
    formats: str = setting(
        "saved_model,tflite,int8",
        "formats to export: saved_model, tflite, int8, onnx, ... (docs/export.md)",
        spelling=canonical_formats,
    )
    sparsity: float = setting(
        0.8, "share of each kernel's weights that pruned sets to 0", minimum=0, maximum=0.99,
        only_with=OnlyWith("formats", "tflite,pruned", ("pruned",)),
    )  # fmt: skip
    finetune_epochs: int = setting(
        2, "fine-tuning epochs during pruning", minimum=0, maximum=1000,
        only_with=OnlyWith("formats", "tflite,pruned", ("pruned",)),
    )  # fmt: skip
    calibration_images: int = setting(
        500, "number of training images that calibrate int8", minimum=10, maximum=10_000,
        only_with=OnlyWith("formats", "tflite,int8", ("int8",)),
    )  # fmt: skip

    def conflicts(self) -> list[str]:
        """Pruning with a sparsity of 0."""
        if "pruned" in words(self.formats) and not self.sparsity:
            return [
                "export.formats names pruned, and export.sparsity is 0: nothing would be pruned; "
                "use --set export.sparsity=0.8, or leave pruned out"
            ]
        return []


@dataclass(frozen=True)
class Promote(Section):
    automatic: bool = setting(
        True, "move the alias champion; false: never, and ask nobody: leave that to an operator", in_key=False
    )
    approval: str = setting(
        "never",
        "when a person decides about a model that no check rejected: never, undecided (the test images cannot tell "
        "whether it is worse) or always",
        choices=("never", "undecided", "always"),
        in_key=False,
    )
    approval_hours: float = setting(
        72.0, "hours in which a person may decide; after them the model is rejected", minimum=0.001, maximum=8760,
        in_key=False, only_with=OnlyWith("approval", "undecided"),
    )  # fmt: skip


@dataclass(frozen=True)
class Schedule(Section):
    """When Airflow retrains and how it handles failures; no stage reads any of it."""

    cron: str = setting(
        "@weekly", "when to retrain: a cron expression or @daily, @weekly, ...; empty: manually only", in_key=False
    )
    timezone: str = setting("UTC", "time zone of cron and watch, such as Europe/Berlin", in_key=False)
    watch_seconds: float = setting(
        5.0,
        "seconds between two looks of Airflow's triggerer for new images; 0: the DAG watch_data looks instead",
        minimum=0,
        maximum=86_400,
        in_key=False,
    )
    watch: str = setting(
        "*/5 * * * *",
        "when the DAG watch_data looks for new images, a cron expression; empty: nothing looks for them",
        in_key=False,
    )
    housekeeping: str = setting(
        "0 4 * * 0", "when Airflow deletes what nothing needs, a cron expression; empty: never", in_key=False
    )
    reproduce: str = setting(
        "", "when the DAG reproduce_champion makes the champion again, a cron expression; empty: there is no such DAG",
        in_key=False,
    )  # fmt: skip
    keep_runs: int = setting(5, "number of the last runs that are kept whole", minimum=0, in_key=False)
    alarm_days: float = setting(
        30.0,
        "days without a run that succeeded, or a new champion, after which housekeeping raises an alarm; 0: never",
        minimum=0,
        in_key=False,
    )
    late_hours: float = setting(
        24.0, "hours after which a run that was due and has not ended is reported as late; 0: never", minimum=0,
        maximum=8760, in_key=False,
    )  # fmt: skip
    keep_days: float = setting(
        90.0, "days after which records and logs of runs, caches and Airflow's metadata are deleted", minimum=1,
        in_key=False,
    )  # fmt: skip
    retries: int = setting(3, "retries after a transient failure", minimum=0, maximum=100, in_key=False)
    retry_seconds: float = setting(
        60.0, "seconds before the first retry, doubled for each further one, up to an hour", minimum=1,
        maximum=86_400, in_key=False,
    )  # fmt: skip
    task_hours: float = setting(
        2.0, "timeout of every task but train, in hours", minimum=0.001, maximum=1000, in_key=False
    )
    python: str = setting(
        "",
        "Python interpreter of the stages in Airflow's tasks; empty: Airflow's own (PIPELINE_PYTHON)",
        spelling=expanded,
        in_key=False,
    )
    train_hours: float = setting(24.0, "timeout of the task train, in hours", minimum=0.001, maximum=1000, in_key=False)
    light_queue: str = setting(
        "", "Celery queue of every task but train; empty: Airflow's default", spelling=queue, in_key=False
    )
    train_queue: str = setting(
        "", "Celery queue of the task train; empty: Airflow's default", spelling=queue, in_key=False
    )
    train_pool: str = setting(
        "",
        "Airflow pool of the task train, created with one slot where it is missing; empty: Airflow's default",
        spelling=queue,
        in_key=False,
    )
    train_pod: str = setting(
        "", "pod template of the task train on Kubernetes; empty: that of the other tasks", spelling=pod_template,
        in_key=False,
    )  # fmt: skip
    name: str = setting(
        "",
        "what the ids of the DAGs begin with: NAME_retrain; empty: the file's name, or nothing for the only file",
        spelling=dag_name, in_key=False,
    )  # fmt: skip
    owner: str = setting("mlops", "owner of the tasks in Airflow", in_key=False)
    tags: str = setting("", "further tags of the DAGs, separated by commas", spelling=tags, in_key=False)
    description: str = setting("", "what the DAG list says about the DAG retrain; empty: what it does", in_key=False)
    home: str = setting(
        "", "workspace of the tasks, an absolute path; empty: PIPELINE_HOME", spelling=workspace, in_key=False
    )


@dataclass(frozen=True)
class Serve(Section):
    """The server of the champion (`make serve`); no run reads any of it."""

    model: str = setting(
        "",
        "registered model to serve; empty: register.name, or the only model in the registry",
        spelling=registered_name,
        in_key=False,
    )
    host: str = setting("127.0.0.1", "address to listen on; 0.0.0.0: reachable from other machines", in_key=False)
    port: int = setting(8000, "port to listen on", minimum=1, maximum=65_535, in_key=False)
    token_file: str = setting(
        "", "file with the token that every request but those for health has to bring; empty: none",
        spelling=expanded, in_key=False,
    )  # fmt: skip
    origins: str = setting(
        "", "origins of pages that may call the server from a browser, its own behind a proxy too, separated by commas",
        spelling=web_origins, in_key=False,
    )  # fmt: skip
    log_share: float = setting(
        0.1, "share of the requests that the request log keeps, at most 50 a second; 0: no log", minimum=0, maximum=1,
        in_key=False,
    )  # fmt: skip
    log_folder: str = setting(
        "", "folder of the request log; empty: serving/requests in the workspace", spelling=expanded, in_key=False
    )
    report_folder: str = setting(
        "", "folder of what users called wrong and of the shadow's counts; empty: serving in the workspace",
        spelling=expanded, in_key=False,
    )  # fmt: skip
    log_days: float = setting(
        30.0, "days after which the request log is deleted", minimum=0.001, maximum=3650, in_key=False
    )
    log_megabytes: int = setting(
        200, "maximum size of the request log in megabytes, its pictures included; the oldest are deleted",
        minimum=1, maximum=1_000_000, in_key=False,
    )  # fmt: skip
    keep_images: int = setting(
        0, "pictures to keep of those least sure of the logged requests, each hour; 0: none", minimum=0,
        maximum=10_000, in_key=False,
    )  # fmt: skip
    shadow_share: float = setting(
        0.0, "share of the requests that the challenger answers too, unseen, to be compared; 0: none", minimum=0,
        maximum=1, in_key=False,
    )  # fmt: skip


@dataclass(frozen=True)
class Params:
    """All settings of one run."""

    ingest: Ingest = field(default_factory=Ingest)
    validate: Validate = field(default_factory=Validate)
    normalize: Normalize = field(default_factory=Normalize)
    train: Train = field(default_factory=Train)
    evaluate: Evaluate = field(default_factory=Evaluate)
    gate: Gate = field(default_factory=Gate)
    register: Register = field(default_factory=Register)
    export: Export = field(default_factory=Export)
    promote: Promote = field(default_factory=Promote)
    schedule: Schedule = field(default_factory=Schedule)
    serve: Serve = field(default_factory=Serve)

    def __post_init__(self) -> None:
        problems = [*_no_corruptions(self.gate, self.evaluate), *_not_exported(self.gate, words(self.export.formats))]
        if problems:
            raise ConfigError(*problems)


def _no_corruptions(gate: Gate, evaluate: Evaluate) -> list[str]:
    """A bound on the error on corrupted images, of which there are none."""
    bound = gate.max_corruption_error
    if bound == 1 or evaluate.corruption_images:
        return []
    return [
        f"gate.max_corruption_error is {bound:g} and evaluate.corruption_images is 0, so the error would not be "
        "measured; expected corrupted images, such as --set evaluate.corruption_images=1000"
    ]


def _not_exported(gate: Gate, exported: list[str]) -> list[str]:
    """Budgets for formats that are not exported."""
    budgets = [name for name in ("max_bytes", "max_latency_ms", "max_latency_ratio") if getattr(gate, name)]
    required = {f"gate.{name}": gate.budget_format for name in budgets[:1]}
    if gate.max_latency_ratio:
        required["gate.max_latency_ratio, a ratio to tflite,"] = "tflite"
    return [
        f"{name} applies to the format {form}, which is not in export.formats ({', '.join(exported)}); "
        f"use --set export.formats={','.join([*exported, form])}"
        for name, form in required.items()
        if form not in exported
    ]


SECTIONS = {section.name: cast(type[Section], section.default_factory) for section in fields(Params)}
