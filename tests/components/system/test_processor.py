"""The cores that a process may use, and the kind of processor that a manifest names."""

import os
from pathlib import Path

import pytest

from components.system import memory, processor


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The control group pod/container of this process."""
    (tmp_path / "pod/container").mkdir(parents=True)
    (tmp_path / "cgroup").write_text("0::/pod/container\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "cgroup")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    return tmp_path / "pod"


@pytest.mark.parametrize(
    ("pod", "container", "expected"),
    [
        (None, None, 16),
        ("max 100000", "max 100000", 16),
        ("400000 100000", "max 100000", 4),
        ("400000 100000", "150000 100000", 2),
        (None, "20000 100000", 1),
        (None, "nonsense", 16),
    ],
)
def test_a_containers_quota_counts(group: Path, pod: str | None, container: str | None, expected: int) -> None:
    """`docker run --cpus 1.5` on 16 cores gives 2, also where the bound is that of a group around it."""
    for folder, content in ((group, pod), (group / "container", container)):
        if content:
            (folder / "cpu.max").write_text(content)
    assert processor.cores() == expected


def test_the_cores_are_those_that_the_process_is_bound_to(group: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by taskset, a cpuset or a batch system."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert processor.cores() == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "processor : 0\nmodel name\t: Intel(R) Xeon(R)\nflags\t\t: fpu avx2 amx_bf16 fma lm sse4_2\n",
            {"model": "Intel(R) Xeon(R)", "instructions": ["amx_bf16", "avx2", "fma", "sse4_2"]},
        ),
        (
            "Features : fp asimd bf16 sve2\nCPU part : 0xd4f\n",
            {"model": "0xd4f", "instructions": ["asimd", "bf16", "sve2"]},
        ),
    ],
)
def test_the_kind_of_a_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: dict[str, object]
) -> None:
    """Its model, and the instructions by which libraries choose how they compute."""
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    assert processor.processor() == expected


def test_a_system_without_cpuinfo_names_its_processor_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As macOS."""
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "none")
    kind = processor.processor()
    assert kind["model"]
    assert kind["instructions"] == []
