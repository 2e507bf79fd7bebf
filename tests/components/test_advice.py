"""Advice in messages, as data."""

import pytest

from components.advice import Again, Command, Package, Run, Setting, Stage, actions, reworded
from components.errors import ModelRejected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train longer with --set train.epochs=16, or add images", Run({"train.epochs": "16"}, opening="with")),
        (
            "less: --set train.dropout=0 train.l2=0",
            Run({"train.dropout": "0", "train.l2": "0"}, opening=":"),
        ),
        ("use --set export.formats=keras,int8.", Run({"export.formats": "keras,int8"}, opening="use")),
        ("--set train.learning_rate=...", Run({"train.learning_rate": "..."})),
        ("use the digits (SOURCE=digits)", Run({"ingest.source": "digits"})),
        ("MNIST_DIR=FOLDER make pipeline   a folder", Run({"ingest.data_dir": "FOLDER"})),
        ("again with python -m pipeline run --force export", Run({}, "export", "with")),
        (
            "python -m pipeline run --source 'my photos' --set ingest.mirror=http://HOST/FOLDER/",
            Run({"ingest.source": "my photos", "ingest.mirror": "http://HOST/FOLDER/"}),
        ),
        ("run 'python -m pipeline stage train' first, or everything with 'make pipeline'", Stage("train", "run")),
        ("register it first: python -m pipeline stage register", Stage("register", ":")),
        ("look at the mistakes: python -m pipeline report", Command("report", ":")),
        ("python -m pipeline models lists its versions", Command("models")),
        ("by python -m pipeline promote 3 --force --reason TEXT", Command("promote 3 --force --reason TEXT")),
        ("start it (make mlflow)", Command("make mlflow")),
        ("run `make pipeline` again, everything is kept", Again()),
        ("free some space, then run it again: what was finished is kept", Again()),
        ("missing: .venv/bin/python -m pip install 'psycopg2'", Package("psycopg2")),
        ("--set train.epochs has no value", Setting("train.epochs")),
        ("give --config a file", Setting("PIPELINE_CONFIG")),
    ],
)
def test_what_can_be_done_is_read_from_a_message(text: str, expected: object) -> None:
    """Settings with their values, without the punctuation after them; a stage; a command with its arguments."""
    assert actions(text) == [expected]
    assert ModelRejected(text).advice == (expected,)


@pytest.mark.parametrize("text", ["epoch 3/8 loss 0.31", "make it writable", "train -- or not", "epochs=3"])
def test_other_text_advises_nothing(text: str) -> None:
    """Also where a word of a command stands in it."""
    assert actions(text) == []
    assert reworded(text, lambda _: "other words") == text


def test_all_advice_of_a_message_is_put_into_other_words() -> None:
    """What stands around it stays."""
    text = "99 % is below the gate; train longer with --set train.epochs=16, or see python -m pipeline report."
    assert reworded(text, lambda action: f" <{type(action).__name__}>") == (
        "99 % is below the gate; train longer <Run>, or see  <Command>."
    )
