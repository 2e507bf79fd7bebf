"""The GPUs that TensorFlow uses, from the files of NVIDIA's driver."""

from pathlib import Path

import pytest

from components.settings.sections import Params
from components.system import gpu
from pipeline.store.recipe import recipe_of


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two devices, and TensorFlow with CUDA."""
    for address, model in (("0000:01:00.0", "NVIDIA H100 80GB"), ("0000:02:00.0", "NVIDIA L4")):
        (tmp_path / address).mkdir()
        (tmp_path / address / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 16\n")
    monkeypatch.setattr(gpu, "DEVICES", tmp_path)
    monkeypatch.delenv(gpu.VISIBLE, raising=False)
    installed(monkeypatch, cuda=True)


def installed(monkeypatch: pytest.MonkeyPatch, *, cuda: bool) -> None:
    monkeypatch.setattr(gpu, "LIBRARIES", ("nvidia-none", "numpy") if cuda else ("nvidia-none",))


def test_this_machine_without_a_gpu_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the log nor in the key."""
    monkeypatch.setattr(gpu, "DEVICES", tmp_path / "none")
    installed(monkeypatch, cuda=True)
    assert (gpu.gpus(), gpu.line()) == ([], "")
    assert "gpu" not in recipe_of("train", Params(), {})["runtime"]


@pytest.mark.usefixtures("two")
def test_the_gpus_are_named_in_the_log_and_in_the_key() -> None:
    """Of the stages that compute with TensorFlow alone."""
    assert gpu.line() == "on NVIDIA H100 80GB, NVIDIA L4"
    runtimes = {stage: recipe_of(stage, Params(), {})["runtime"].get("gpu") for stage in ("train", "normalize")}
    assert runtimes == {"train": "NVIDIA H100 80GB, NVIDIA L4", "normalize": None}
    assert gpu.named(["NVIDIA L4", "NVIDIA H100", "NVIDIA L4"]) == "NVIDIA H100, 2 x NVIDIA L4"


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("", []),
        ("-1", []),
        ("1", ["NVIDIA L4"]),
        ("1,0", ["NVIDIA L4", "NVIDIA H100 80GB"]),
        ("0,7,1", ["NVIDIA H100 80GB"]),
        ("GPU-8932f937", ["NVIDIA H100 80GB", "NVIDIA L4"]),
    ],
)
def test_only_visible_devices_count(visible: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As CUDA reads the variable."""
    monkeypatch.setenv(gpu.VISIBLE, visible)
    assert gpu.gpus() == expected


@pytest.mark.usefixtures("two")
def test_a_gpu_that_tensorflow_cannot_use_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs what is missing; not where a user hid the devices."""
    installed(monkeypatch, cuda=False)
    assert gpu.gpus() == []
    assert gpu.line() == (
        "NVIDIA H100 80GB, NVIDIA L4 not used: TensorFlow is installed without CUDA; "
        "make clean setup LOCK=requirements-gpu.lock"
    )
    monkeypatch.setenv(gpu.VISIBLE, "-1")
    assert gpu.line() == ""
