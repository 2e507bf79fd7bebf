"""Every setting of the pipeline: one frozen dataclass per stage, checked on creation.

A setting is declared once, with its default, its help text and its bounds; the command line, the README's table and
the form in the Airflow UI are made from these declarations. Standard library only: a DAG file may import this.
"""

import difflib
from dataclasses import dataclass, field

from components.errors import ConfigError
from components.settings.augmentation import canonical
from components.settings.fields import Section, setting

MODELS = ("cnn_bn", "cnn", "dense", "vgg", "resnet", "attention", "mobilenet_v2", "tiny")
PRECISIONS = ("auto", "float32", "mixed_bfloat16")
SCHEDULES = ("plateau", "cosine", "onecycle", "constant")
OPTIMIZERS = ("adam", "adamw", "sgd")
LOSSES = ("sparse", "one_hot")
FORMATS = ("saved_model", "tflite", "float16", "dynamic", "int8", "pruned", "onnx", "keras")


def words(text: str) -> list[str]:
    """The words of a comma list."""
    return [word.strip() for word in text.split(",") if word.strip()]


def canonical_formats(text: str) -> str:
    """The formats that *text* names, each once and in the order of FORMATS: equal sets give equal keys.

    Raises ValueError with the first one that does not exist.
    """
    given = words(text)
    if not given:
        raise ValueError(f"expected at least one of {', '.join(FORMATS)}")
    for word in given:
        if word not in FORMATS:
            near = difflib.get_close_matches(word, FORMATS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected some of {', '.join(FORMATS)}"
            raise ValueError(f"there is no format {word!r}; {hint}")
    return ",".join(name for name in FORMATS if name in given)


def network(name: str) -> str:
    """*name*, one of MODELS or a person's own, "package.module:function"; raises ValueError where it is neither."""
    module, colon, function = name.partition(":")
    if name in MODELS or (colon and all(part.isidentifier() for part in (*module.split("."), function))):
        return name
    near = difflib.get_close_matches(name, MODELS, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ValueError(f"expected one of {', '.join(MODELS)}, or package.module:function{hint}")


def networks(text: str) -> str:
    """The names in *text*, parted by commas, each as `network` has it; raises ValueError where one is none."""
    return ",".join(network(name.strip()) for name in text.split(",") if name.strip())


def queue(name: str) -> str:
    """*name*, a queue of Celery's or nothing; raises ValueError where a worker could not be told to listen to it."""
    if any(character.isspace() or character == "," for character in name):
        raise ValueError("expected one name without spaces and commas, such as train")
    return name


def pod_template(file: str) -> str:
    """*file*, an absolute path or nothing; raises ValueError for one that depends on where it is asked from."""
    if not file or file.startswith("/"):
        return file
    raise ValueError("expected the absolute path that the file has for Airflow's scheduler")


@dataclass(frozen=True)
class Ingest(Section):
    source: str = setting("auto", "auto, mnist, digits, tfds:NAME or a folder of images or IDX files", in_key=False)
    data_dir: str = setting("", "folder with MNIST's four IDX files (environment: MNIST_DIR)", in_key=False)
    tfds_dir: str = setting("", "folder of tensorflow-datasets (environment: TFDS_DATA_DIR)", in_key=False)
    mirror: str = setting("", "address to download from instead of the data set's own", in_key=False)
    image_size: int = setting(0, "height and width in pixels; 0 keeps the images' own", minimum=0, maximum=1024)
    channels: int = setting(0, "1 grey, 3 colour; 0 keeps the images' own", choices=(0, 1, 3))
    test_share: float = setting(
        0.15, "share of the images to test on, where the folder has no split of its own", minimum=0.01, maximum=0.9
    )


@dataclass(frozen=True)
class Validate(Section):
    """Bounds that the check applies to what was measured; a new bound judges again and runs nothing again."""

    schema: str = setting("", "schema file to hold the data to; empty: the one inferred from them", in_key=False)
    min_images: int = setting(100, "fewest images in the training split", minimum=1, in_key=False)
    max_class_share_change: float = setting(
        0.05, "class share off the schema's by more than this is an anomaly", minimum=0, maximum=1, in_key=False
    )
    max_constant_share: float = setting(
        0.01, "largest share of images of one colour", minimum=0, maximum=1, in_key=False
    )
    max_duplicate_share: float = setting(
        0.02, "largest share of test images that are in training too", minimum=0, maximum=1, in_key=False
    )
    max_class_drift: float = setting(
        0.1, "largest Jensen-Shannon distance of class shares to the champion's data", minimum=0, maximum=1,
        in_key=False,
    )  # fmt: skip
    max_brightness_drift: float = setting(
        0.1, "largest change of mean brightness (of 0..1) to the champion's data", minimum=0, maximum=1, in_key=False
    )


@dataclass(frozen=True)
class Normalize(Section):
    validation_share: float = setting(0.1, "share of the training images held out", minimum=0.01, maximum=0.5)
    seed: int = setting(0, "seed of the choice of validation images", minimum=0)


@dataclass(frozen=True)
class Train(Section):
    model: str = setting(
        "cnn_bn", f"the network: {', '.join(MODELS)}, or your own as package.module:function", spelling=network
    )
    epochs: int = setting(8, "most epochs", minimum=1, maximum=10_000)
    batch_size: int = setting(128, "images per step", minimum=1, maximum=65_536)
    width: float = setting(1.0, "factor on the number of channels of each layer", minimum=0.1, maximum=8)
    depth: int = setting(0, "blocks of the network (resnet: per stage); 0: its own number", minimum=0, maximum=16)
    dropout: float = setting(0.4, "share of units dropped before the last layer", minimum=0, maximum=0.95)
    l2: float = setting(0.0, "penalty on the squares of the weights (L2), added to the loss", minimum=0, maximum=1)
    optimizer: str = setting("adam", "what moves the weights", choices=OPTIMIZERS)
    learning_rate: float = setting(0.001, "the optimizer's first, or highest, learning rate", minimum=1e-7, maximum=10)
    momentum: float = setting(
        0.9, "momentum of sgd (Nesterov's); onecycle lowers it by 0.1 and raises it again", minimum=0, maximum=0.999
    )
    weight_decay: float = setting(
        0.0, "decay of the weights per step, as a share of the rate (adamw, sgd)", minimum=0, maximum=1
    )
    schedule: str = setting("cosine", "how the learning rate goes", choices=SCHEDULES)
    warmup: float = setting(0.0, "epochs in which the rate rises from 0, before cosine", minimum=0, maximum=1000)
    loss: str = setting("sparse", "cross-entropy on class numbers, or on one-hot labels", choices=LOSSES)
    label_smoothing: float = setting(0.0, "share of each label spread over the other classes", minimum=0, maximum=0.5)
    class_weights: str = setting("none", "balanced: rare classes count for more", choices=("none", "balanced"))
    ema: float = setting(
        0.0, "momentum of the weights' moving average, which is kept; 0: none", minimum=0, maximum=0.99999
    )
    patience: int = setting(3, "epochs without a better validation loss before stopping", minimum=1)
    augment: str = setting(
        "", "augmentation, such as rotate=10,shift=0.1,zoom=0.1,shear=5,elastic=1,erase=0.2", spelling=canonical
    )
    members: int = setting(1, "networks in the ensemble, each with a seed of its own", minimum=1, maximum=64)
    member_models: str = setting(
        "", "networks of an ensemble, such as cnn_bn,resnet; empty: all train.model", spelling=networks
    )
    teacher: str = setting(  # its model's digest is in the key: an alias moves, and two names may be one model
        "", "registered version to distil from, such as 3 or champion; empty: none", in_key=False
    )
    distill_weight: float = setting(0.7, "share of the loss that is the teacher's word", minimum=0, maximum=1)
    temperature: float = setting(3.0, "softness of the teacher's probabilities", minimum=1, maximum=100)
    workers: int = setting(1, "processes that train together, each on its share of every batch", minimum=1, maximum=64)
    precision: str = setting(
        "auto", "arithmetic; auto takes bfloat16 where the CPU has it and gains by it", choices=PRECISIONS
    )
    seed: int = setting(0, "seed of weights, order, dropout and augmentation", minimum=0)

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks that this training builds: one, or those that the members of an ensemble take in turn."""
        return tuple(self.member_models.split(",")) if self.member_models else (self.model,)

    def conflicts(self) -> list[str]:
        """Settings that another one would leave without effect."""
        found = []
        if self.member_models and len(self.networks) > self.members:
            found.append(
                f"train.member_models names {len(self.networks)} networks, and train.members is {self.members}; "
                f"set train.members={len(self.networks)} or more"
            )
        if self.workers > self.batch_size:
            found.append(
                f"train.workers is {self.workers}, and train.batch_size {self.batch_size} has no image for each; "
                f"set train.batch_size={self.workers} or more"
            )
        if self.weight_decay and self.optimizer == "adam":
            found.append(
                f"train.weight_decay is {self.weight_decay:g}, and train.optimizer adam has none; "
                "take --set train.optimizer=adamw, or set train.weight_decay=0"
            )
        if self.warmup and self.schedule != "cosine":
            found.append(
                f"train.warmup is {self.warmup:g}, and train.schedule {self.schedule} has no warm-up; "
                "take --set train.schedule=cosine, or set train.warmup=0"
            )
        elif self.warmup >= self.epochs:
            found.append(
                f"train.warmup is {self.warmup:g} epochs; expected fewer than train.epochs, which is {self.epochs}"
            )
        return found


@dataclass(frozen=True)
class Evaluate(Section):
    mistakes: int = setting(36, "how many mistakes to draw", minimum=1, maximum=400)
    corruption_images: int = setting(
        1000, "test images to corrupt in seven ways and five strengths; 0: none", minimum=0, maximum=1_000_000
    )
    suspects: int = setting(36, "how many suspected label errors to list and draw", minimum=0, maximum=400)


@dataclass(frozen=True)
class Gate(Section):
    """Bounds that the checks after training apply; a new bound judges again and runs nothing again."""

    min_accuracy: float = setting(
        0.98, "lowest accuracy on the test split, a share of 1", minimum=0, maximum=1, in_key=False
    )
    min_class_recall: float = setting(
        0.0, "lowest recall of any class, a share of 1; 0: no bound", minimum=0, maximum=1, in_key=False
    )
    min_slice_accuracy: float = setting(
        0.0, "lowest accuracy on any slice (thin, thick, slanted, dark, ...); 0: no bound", minimum=0, maximum=1,
        in_key=False,
    )  # fmt: skip
    max_corruption_error: float = setting(
        1.0, "largest mean error on corrupted images, a share of 1", minimum=0, maximum=1, in_key=False
    )
    max_overfit: float = setting(
        0.03, "training accuracy above test accuracy by more than this is a warning", minimum=0, maximum=1,
        in_key=False,
    )  # fmt: skip
    max_export_loss: float = setting(
        0.001, "largest loss of accuracy by an export that rounds or prunes, a share of 1", minimum=0, maximum=1,
        in_key=False,
    )  # fmt: skip
    budget_format: str = setting("int8", "exported format that the budgets below bound", choices=FORMATS, in_key=False)
    max_bytes: int = setting(0, "largest size of that file in bytes; 0: no bound", minimum=0, in_key=False)
    max_latency_ms: float = setting(
        0.0, "longest median time for one image on one thread, in milliseconds; 0: no bound", minimum=0, in_key=False
    )
    max_latency_ratio: float = setting(
        0.0, "the same as a ratio to the float32 TFLite file in the same run; 0: no bound", minimum=0, in_key=False
    )
    max_regression: float = setting(
        0.001, "largest loss of accuracy against the champion, a share of 1", minimum=0, maximum=1, in_key=False
    )


@dataclass(frozen=True)
class Register(Section):
    name: str = setting("", "registered model; empty: SOURCE-classifier", in_key=False)
    experiment: str = setting("", "MLflow experiment; empty: the registered model's name", in_key=False)


@dataclass(frozen=True)
class Export(Section):
    formats: str = setting(
        "saved_model,tflite,int8", "files to write: " + ", ".join(FORMATS), spelling=canonical_formats
    )
    sparsity: float = setting(0.8, "share of each kernel's weights that pruned sets to 0", minimum=0, maximum=0.99)
    finetune_epochs: int = setting(
        2, "epochs in which pruned sets them to 0 and trains the others on", minimum=0, maximum=1000
    )
    calibration_images: int = setting(500, "training images that set the int8 ranges", minimum=10, maximum=10_000)

    def conflicts(self) -> list[str]:
        """A pruning that prunes nothing."""
        if "pruned" in words(self.formats) and not self.sparsity:
            return [
                "export.formats names pruned, and export.sparsity is 0: nothing would be pruned; "
                "take --set export.sparsity=0.8, or leave pruned out"
            ]
        return []


@dataclass(frozen=True)
class Promote(Section):
    automatic: bool = setting(True, "move the alias champion; false leaves that to a person", in_key=False)


@dataclass(frozen=True)
class Schedule(Section):
    """When Airflow retrains and how it goes about failures; no stage reads any of it."""

    cron: str = setting(
        "@weekly", "when to retrain: a cron expression or @daily, @weekly...; empty: by hand only", in_key=False
    )
    watch: str = setting("*/5 * * * *", "when to look for new images; empty: never", in_key=False)
    retries: int = setting(
        3, "how often a task is tried again after what a retry can cure", minimum=0, maximum=100, in_key=False
    )
    retry_seconds: float = setting(
        60.0, "wait before the first retry, doubled for each further one", minimum=1, maximum=86_400, in_key=False
    )
    task_hours: float = setting(
        2.0, "longest time for a task other than train", minimum=0.001, maximum=1000, in_key=False
    )
    python: str = setting(
        "", "interpreter that Airflow's tasks run the stages in; empty: Airflow's own (PIPELINE_PYTHON)", in_key=False
    )
    train_hours: float = setting(24.0, "longest time for the task train", minimum=0.001, maximum=1000, in_key=False)
    light_queue: str = setting(
        "", "queue of Celery for every task but train; empty: Airflow's default", spelling=queue, in_key=False
    )
    train_queue: str = setting(
        "", "queue of Celery for the task train; empty: Airflow's default", spelling=queue, in_key=False
    )
    train_pod: str = setting(
        "", "pod template of the task train on Kubernetes; empty: that of every task", spelling=pod_template,
        in_key=False,
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

    def __post_init__(self) -> None:
        if found := [*_uncorrupted(self.gate, self.evaluate), *_unmeasured(self.gate, words(self.export.formats))]:
            raise ConfigError(*found)


def _uncorrupted(gate: Gate, evaluate: Evaluate) -> list[str]:
    """A bound on images that are not going to be there."""
    bound = gate.max_corruption_error
    if bound == 1 or evaluate.corruption_images:
        return []
    return [
        f"gate.max_corruption_error is {bound:g} and evaluate.corruption_images is 0: what is not measured "
        "cannot be held to a bound; expected corrupted images, such as --set evaluate.corruption_images=1000"
    ]


def _unmeasured(gate: Gate, exported: list[str]) -> list[str]:
    """Budgets for files that are not going to be there."""
    budgets = [name for name in ("max_bytes", "max_latency_ms", "max_latency_ratio") if getattr(gate, name)]
    needed = {f"gate.{name}": gate.budget_format for name in budgets[:1]}
    if gate.max_latency_ratio:
        needed["gate.max_latency_ratio, a ratio to tflite,"] = "tflite"
    return [
        f"{name} bounds the format {form}, which is not in export.formats ({', '.join(exported)}); "
        f"take --set export.formats={','.join([*exported, form])}"
        for name, form in needed.items()
        if form not in exported
    ]


SECTIONS: dict[str, type[Section]] = {
    kind.__name__.lower(): kind
    for kind in (Ingest, Validate, Normalize, Train, Evaluate, Gate, Register, Export, Promote, Schedule)
}
