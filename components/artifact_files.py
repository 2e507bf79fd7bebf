"""The JSON files that one stage writes and others read, as types.

Each file is read and written through its type, so that mypy sees a misspelt key. Standard library only.
"""

from typing import Literal, NotRequired, TypedDict

# ingest: source.json


class SourceFile(TypedDict):
    """Where the images come from and what they are; *images* counts them by split."""

    source: str
    name: str
    classes: list[str]
    shape: list[int]
    images: dict[str, int]
    fingerprint: str
    sha256: dict[str, str]


class DrawnSplit(TypedDict):
    """A test split drawn by the content of the images: the share asked for."""

    share: float


class Unreadable(TypedDict):
    """How many of the image files of a source cannot be read, and the first of them with the reason."""

    count: int
    files: int
    first: list[str]


class CorrectionCounts(TypedDict):
    """corrections.json: how many corrections changed something, and how many images have another label or are dropped.

    The others are for images that are *gone*, have the right label *already*, or have a label that they are not about.
    """

    applied: int
    relabelled: int
    dropped: int
    already: int
    gone: int
    not_applied: int


# validate: statistics.json, schema.json; the fields are explained in components/data/statistics.py


class Examples(TypedDict):
    """How many images have a property, and the indices of the first ones; their files, where they are files."""

    count: int
    examples: list[int]
    files: NotRequired[list[str]]


class Faint(Examples):
    """Nearly blank images; *bound* is the standard deviation, of 255, that they are below."""

    bound: float


class OutsideLabels(Examples):
    values: list[int]


class Pairs(TypedDict):
    """How many pairs of equal images there are, and the indices of the first ones."""

    count: int
    examples: list[list[int]]
    files: NotRequired[list[list[str]]]


class ArrayKind(TypedDict):
    dtype: str
    shape: list[int]
    images: int
    first: int


class LabelArray(TypedDict):
    dtype: str
    shape: list[int]


class PixelMoments(TypedDict):
    mean: float
    deviation: float
    min: int
    max: int


class PixelStatistics(PixelMoments):
    channels: list[PixelMoments]


class ImageStatistics(TypedDict):
    images: int
    kinds: list[ArrayKind]
    pixels: PixelStatistics | None
    nan: Examples


class LabelStatistics(TypedDict):
    labels: LabelArray | None
    histogram: list[int] | None
    outside: OutsideLabels


class ProblemStatistics(TypedDict):
    """What an image can have that a user may want to look at; each is in problems.csv too."""

    constant: Examples
    faint: Faint
    duplicates: Pairs
    contradictions: Pairs
    near_duplicates: Pairs


class SplitStatistics(ImageStatistics, LabelStatistics, ProblemStatistics):
    unreadable: list[str]


class Statistics(TypedDict):
    source: str
    name: str
    classes: list[str]
    shape: list[int]
    splits: dict[str, SplitStatistics]
    leaked: Pairs
    near_leaked: Pairs


class SchemaFile(TypedDict):
    """A class share is the expected one, or [low, high]."""

    version: int
    classes: list[str]
    shape: list[int]
    dtype: str
    min_images: dict[str, int]
    class_shares: dict[str, float | list[float]]


# normalize: data.json


class Scaling(TypedDict):
    """Mean and standard deviation of the training pixels per channel, in units of 255."""

    mean: list[float]
    std: list[float]


class NormalizedData(Scaling):
    source: str
    name: str
    classes: list[str]
    shape: list[int]
    images: dict[str, int]
    duplicates_removed: int
    colour_skill: float  # components.data.colour_skill


# train: summary.json, history.csv


class Complexity(TypedDict):
    parameters: int
    weight_bytes: int  # in float32
    macs: int  # multiply-accumulates for one image
    macs_by_type: dict[str, int]  # of operation


class FinalMetrics(TypedDict):
    """Of the model that is kept; those of training on a sample of its images."""

    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float


class MemberSummary(TypedDict):
    """One network of an ensemble."""

    model: str
    seed: int
    epochs: int
    best_epoch: int
    validation_accuracy: float
    validation_loss: float


class Calibration(TypedDict):
    """Temperature scaling on the validation split: loss and calibration error without it and with it; 1 is none."""

    temperature: float
    loss_before: float
    loss: float
    error_before: float
    error: float


class TrainSummary(Complexity, FinalMetrics):
    model: str
    augment: str
    layers: list[str]
    epochs: int
    best_epoch: int
    steps: int  # of the optimizer; of an ensemble, those of each member
    stopped_early: bool
    precision: str
    calibration: NotRequired[Calibration]  # where train.calibrate is set
    members: NotRequired[list[MemberSummary]]  # of an ensemble


HistoryRow = dict[str, float]  # epoch, loss, accuracy, val_loss, val_accuracy, learning_rate


# evaluate: metrics.json, corruptions.json, suspects.json


class ClassScores(TypedDict):
    """The scores of one class; the interval is that of the recall."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    wilson_low: float
    wilson_high: float


class CalibrationBin(TypedDict):
    """The images whose confidence is above *low* and at most *high*; an empty bin has no means."""

    low: float
    high: float
    count: int
    confidence: NotRequired[float]
    accuracy: NotRequired[float]


class Mistake(TypedDict):
    """One image that was misclassified: its index in the split, two class numbers, the predicted probability.

    *file* is its path below the folder of images, where the source is one.
    """

    index: int
    file: NotRequired[str]
    truth: int
    predicted: int
    probability: float


class Confidence(TypedDict):
    """Median confidence of right and wrong predictions, and how well confidence tells them apart (ROC area)."""

    separation: float | None
    right: float | None
    wrong: float | None


class Slice(TypedDict):
    """Test images with low < value <= high of a property; the outer slices are unbounded (null)."""

    property: str
    unit: str
    part: str
    low: float | None
    high: float | None
    n: int
    correct: int
    accuracy: float
    wilson_low: float
    wilson_high: float


class Slices(TypedDict):
    """*drawn* is the share of the training images that are line drawings."""

    drawn: float
    parts: list[Slice]


class SuspectCount(TypedDict):
    """Suspected label errors among the n images of a split."""

    n: int
    suspects: int


class Training(TypedDict):
    """What the check and the report need to know about the training."""

    best_epoch: int
    epochs: int
    steps: int
    stopped_early: bool


class Scores(TypedDict):
    """What follows from the predictions alone; *confusion* counts by row (truth) and column (prediction).

    *baseline* is the accuracy of always answering the most frequent class, *baseline_p* that of the model against it.
    """

    n: int
    correct: int
    accuracy: float
    baseline: float
    baseline_p: float
    wilson_low: float
    wilson_high: float
    loss: float
    macro_f1: float
    expected_calibration_error: float
    calibration: list[CalibrationBin]
    classes: list[str]
    per_class: list[ClassScores]
    confidence: Confidence
    confusion: list[list[int]]
    mistakes: list[Mistake]


class Metrics(Scores):
    """metrics.json."""

    train_accuracy: float
    validation_accuracy: float
    gap: float
    training: Training
    suspects: dict[str, SuspectCount]
    slices: Slices
    temperature: NotRequired[float]  # of the model, and its calibration error on the validation split
    validation_calibration_error_before: NotRequired[float]
    validation_calibration_error: NotRequired[float]
    corruption_error: NotRequired[float]


class CorruptionKind(TypedDict):
    """Misclassified images at each strength of one corruption, and their mean share."""

    name: str
    meaning: str
    strengths: list[float]
    wrong: list[int]
    error: float


class Corruptions(TypedDict):
    """corruptions.json. *digest* identifies the corrupted images: results compare only where it is equal."""

    n: int
    clean_wrong: int
    mean_error: float
    digest: str
    kinds: list[CorruptionKind]


class Suspect(Mistake):
    """One suspected label error; *given* is the probability of its label, *predicted* the suggested class.

    Of a training image, probabilities are shares of the votes of its neighbours.
    """

    split: str
    given: float
    margin: float


class Suspects(TypedDict):
    """suspects.json: the suspects among held-out images and, by the votes of their neighbours, of the split train."""

    splits: dict[str, SuspectCount]
    suspects: list[Suspect]
    training_suspects: NotRequired[list[Suspect]]


# export: parity.json


class Correct(TypedDict):
    """How many test images are classified correctly."""

    correct: int
    accuracy: float


class FormatParity(Correct):
    """One exported file against the Keras model, image by image, and the largest difference in probability."""

    path: str
    bytes: int
    gzip_bytes: int
    agree: int
    gained: int  # images that it has right and Keras has not
    lost: int
    max_difference: float
    zeros: NotRequired[float]


class Parity(TypedDict):
    """parity.json."""

    n: int
    keras: Correct
    formats: dict[str, FormatParity]


# export: model_info.json

MODEL_INFO = "model_info.json"


class InputInfo(TypedDict):
    """The images that a model takes, and how ingest brought its training images to that size."""

    shape: list[int]
    channels: Literal["grey", "RGB"]
    fit: str
    resize: str


class DrawnForm(TypedDict):
    """The form of training images that are drawings, as MNIST's digits are.

    *box* is the longer side of the ink in pixels; in the middle of the image lies the ink's centre of mass where it is
    *centred*, and the middle of its box otherwise. *pen* are the least and the greatest width of a stroke in parts of
    the box: the quartiles of the training images. *blur* is the standard deviation in pixels of the Gaussian that makes
    edges as soft as theirs.
    """

    box: int
    centred: bool
    pen: NotRequired[list[float]]
    blur: NotRequired[float]


class TensorNames(TypedDict):
    inputs: str
    outputs: str


class FormatInfo(TypedDict):
    """One exported format: its file or folder, and its accuracy on the test images."""

    path: str
    accuracy: float


class FileInfo(TypedDict):
    bytes: int
    sha256: str


class ModelDescription(TypedDict):
    """What is written into each exported file: of which model it is, what it takes and what it answers."""

    model: str
    version: str
    classes: list[str]
    input: InputInfo


class ModelInfo(ModelDescription):
    """model_info.json: what a program needs to know that serves the files beside it.

    *accuracy* and its 95 % interval are those of the file that `components.export.formats.served` names, on *n* test
    images. *drawn* is null unless the training images are drawings of one form. *files* are all files of the folder but
    this one.
    """

    model_sha256: str
    drawn: DrawnForm | None
    accuracy: float
    wilson_low: float
    wilson_high: float
    n: int
    signature: TensorNames
    formats: dict[str, FormatInfo]
    files: dict[str, FileInfo]


# end of the stages' files
