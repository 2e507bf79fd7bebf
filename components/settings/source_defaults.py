"""Defaults that depend on the source of the images; what a user sets wins."""

GATE = 0.98  # of the data sets whose accuracy is known beforehand

SOURCE_DEFAULTS: dict[str, dict[str, object]] = {
    "mnist": {  # pipeline/profiles/default.toml, measured in the README
        "train.epochs": 6,
        "train.learning_rate": 0.006,
        "train.schedule": "onecycle",
        "train.dropout": 0.0,
        "train.patience": 6,
        "train.augment": "rotate=10,shift=0.07,zoom=0.1",
        "gate.min_accuracy": GATE,
    },
    "tfds:mnist": {"gate.min_accuracy": GATE},
    "digits": {  # 1,292 images to train on: smaller steps, and each image a little different in every epoch
        "train.epochs": 12,
        "train.batch_size": 32,
        "train.learning_rate": 0.002,
        "train.schedule": "cosine",
        "train.dropout": 0.4,
        "train.patience": 12,
        "train.augment": "rotate=8,shift=0.06,zoom=0.1",
        "gate.min_accuracy": GATE,
    },
}
