"""The workers of a distributed training: what TF_CONFIG may say, and what it must not say."""

import json

import pytest

from components.errors import ConfigError
from components.settings.sections import Train
from components.train.distributed.cluster import Cluster, cluster


def config(cluster: object, kind: str = "worker", index: int = 0) -> str:
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


TWO = {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}


def test_without_tf_config_all_workers_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """And this machine publishes."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    result = cluster(3)
    assert (result.here, result.assists) == ((0, 1, 2), False)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (config(TWO), 0),
        (config(TWO, index=1), 1),
        (config({"chief": ["10.0.0.1:2222"], "worker": ["10.0.0.2:2222"]}, "chief"), 0),
        (config({"chief": ["10.0.0.1:2222"], "worker": ["10.0.0.2:2222"]}, "worker"), 1),
    ],
)
def test_tf_config_names_the_workers_the_chief_first(monkeypatch: pytest.MonkeyPatch, text: str, number: int) -> None:
    """The chief is the job of that name, or else worker 0; every other worker assists it."""
    monkeypatch.setenv("TF_CONFIG", text)
    result = cluster(2)
    assert result == Cluster(2, ("10.0.0.1:2222", "10.0.0.2:2222"), number)
    assert (result.here, result.assists) == ((number,), number > 0)


def test_a_service_that_always_sets_tf_config_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker in a cluster of one, or of none, trains as usual."""
    for text in ("{}", config({"chief": ["10.0.0.1:2222"]}, "chief")):
        monkeypatch.setenv("TF_CONFIG", text)
        assert cluster(1) == Cluster(1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "TF_CONFIG is 'nonsense' .*; expected JSON such as"),
        ("[]", "expected JSON such as"),
        ("[" * 99_999, "expected JSON such as"),
        (config({"worker": 2}), "expected JSON such as"),
        (config({"ps": ["10.0.0.1:1"], **TWO}), "the job 'ps' takes no part in this training"),
        (config({"worker": ["10.0.0.1", "10.0.0.2:2222"]}), "'10.0.0.1' is not HOST:PORT"),
        (config({"worker": ["10.0.0.1:1", "10.0.0.1:1"]}), "two workers have the same address"),
        (config(TWO, index=2), "there is no worker number 2 in its cluster"),
        (
            config({"worker": ["a:1", "b:1", "c:1"]}),
            "names 3 workers, and train.workers is 2; take --set train.workers=3",
        ),
        ("{}", "names 0 workers, and train.workers is 2; take --set train.workers=1"),
    ],
)
def test_each_mistake_in_tf_config_is_one_sentence(monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    """With the value and the expectation."""
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match=message) as raised:
        cluster(2)
    assert len(raised.value.problems) == 1


def test_each_worker_needs_an_image_of_each_batch() -> None:
    """More workers than images in a batch are rejected with the settings."""
    with pytest.raises(ConfigError, match=r"train.workers is 8, and train.batch_size 4 has no image for each"):
        Train(workers=8, batch_size=4)
