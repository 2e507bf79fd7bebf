"""What the machine decides where the settings leave it open: precision and threads."""

import json
from pathlib import Path

import pytest

from components.settings.sections import Train
from components.system import processor
from components.train.machine import settled


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags : fpu avx2 avx512f", "float32"),
        ("flags : avx512_bf16 x", "mixed_bfloat16"),
        ("amx_bf16", "mixed_bfloat16"),
        (None, "float32"),
    ],
)
def test_auto_precision_follows_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str | None, expected: str
) -> None:
    """bfloat16 only where the processor supports it, and for no network that is slower in it; an explicit precision
    is used as it is."""
    if flags:
        (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    assert settled(Train()).precision == expected
    assert settled(Train(model="mobilenet_v2")).precision == "float32"
    assert settled(Train(precision="float32")).precision == "float32"
    assert settled(Train(model="mobilenet_v2", precision="mixed_bfloat16")).precision == "mixed_bfloat16"


def test_an_ensemble_has_one_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key holds one: float32 where a member is slower in bfloat16."""
    (tmp_path / "cpuinfo").write_text("flags : amx_bf16")
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    assert settled(Train(members=2, member_models="cnn_bn,vgg")).precision == "mixed_bfloat16"
    assert settled(Train(members=2, member_models="cnn_bn,mobilenet_v2")).precision == "float32"


@pytest.mark.parametrize(("settings", "expected"), [({}, 8), ({"workers": 3}, 2), ({"workers": 16}, 1)])
def test_the_workers_of_a_machine_share_its_cores(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, int], expected: int
) -> None:
    """Each has at least one; a number that a user sets is each worker's, whatever the machine."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr("components.train.machine.cores", lambda: 8)
    assert settled(Train(**settings)).threads == expected  # type: ignore[arg-type]
    assert settled(Train(threads=5, **settings)).threads == 5  # type: ignore[arg-type]


def test_a_worker_on_a_machine_of_its_own_has_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """TF_CONFIG says which workers are here."""
    cluster = {"cluster": {"worker": ["10.0.0.1:1", "10.0.0.2:1"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    monkeypatch.setattr("components.train.machine.cores", lambda: 8)
    assert settled(Train(workers=2)).threads == 8
    assert settled(Train(workers=3)).threads == 2  # a mistake that is reported where a run begins


def test_what_is_settled_is_not_settled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training goes on with what the key says, wherever its worker runs."""
    monkeypatch.setattr("components.train.machine.cores", lambda: 8)
    first = settled(Train())
    monkeypatch.setattr("components.train.machine.cores", lambda: 2)
    assert settled(first) == first
