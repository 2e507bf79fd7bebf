"""What is said of two machines that may make other bits."""

from typing import Any

import pytest

from components.system.environment import environment, variables
from pipeline.reproduce.machine import Computing, Environment
from pipeline.reproduce.machine import differences as between

XEON: dict[str, Any] = {
    "python": "3.11.9",
    "machine": "x86_64",
    "glibc": "2.36",
    "processor": {"model": "Intel Xeon", "instructions": ["amx_tile", "avx2", "avx512f"]},
    "caches": {"L1 Data": "48K"},
    "cores": 8,
    "variables": {"TF_ENABLE_ONEDNN_OPTS": "1", "TF_NUM_INTRAOP_THREADS": "2"},
}


def differences(then: Environment, here: Environment) -> list[str]:
    return between((Computing(2, ""), then), (Computing(2, ""), here))


def test_threads_and_gpus_make_another_machine() -> None:
    assert between((Computing(2, ""), XEON), (Computing(3, "NVIDIA H100"), XEON)) == [
        "3 threads here, 2 then",
        "NVIDIA H100 here, none then",
    ]
    assert between((Computing(2, "NVIDIA H100"), XEON), (Computing(1, ""), XEON)) == [
        "1 thread here, 2 then",
        "no GPU here, NVIDIA H100 then",
    ]


def test_the_same_kind_of_machine_differs_in_nothing() -> None:
    """The number of its cores, and the variables that a run sets before or after they are recorded, change no bits."""
    own = {"TF_NUM_INTRAOP_THREADS": "3", "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "0"}
    other = XEON | {"cores": 2, "variables": {"TF_ENABLE_ONEDNN_OPTS": "1", **own}}
    assert differences(XEON, other) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"processor": {"model": "AMD EPYC", "instructions": ["avx", "avx2"]}},
            "AMD EPYC with AVX2 here, Intel Xeon with AMX then",
        ),
        (
            {"processor": {"model": "Intel Xeon", "instructions": ["amx_tile", "avx2", "avx512f", "fma"]}},
            "Intel Xeon with fma here",
        ),
        ({"caches": {"L1 Data": "32K"}}, "a processor with other caches"),
        ({"glibc": "2.41"}, "glibc 2.41 here, 2.36 then"),
        ({"python": "3.11.10"}, "Python 3.11.10 here, 3.11.9 then"),
        ({"variables": {"TF_ENABLE_ONEDNN_OPTS": "0"}}, "TF_ENABLE_ONEDNN_OPTS 0 here, 1 then"),
    ],
)
def test_each_difference_is_a_sentence(change: dict[str, Any], sentence: str) -> None:
    assert differences(XEON, XEON | change) == [sentence]


def test_a_machine_of_which_nothing_is_known_is_another() -> None:
    """An artifact of an earlier version of the pipeline does not say what it was made with."""
    assert differences({}, XEON) == ["what it was trained on is not recorded"]


def test_this_machine_is_described_without_the_places_of_its_user() -> None:
    """Names of hosts and folders, and logins, are not recorded."""
    places = {"KERAS_HOME": "/home/ann/.keras", "TF_CONFIG": "{}", "TF_XLA_FLAGS": "--xla_dump_to=/home/ann"}
    assert variables({**places, "TF_DETERMINISTIC_OPS": "1", "HOME": "/home/ann"}) == {"TF_DETERMINISTIC_OPS": "1"}
    assert differences(dict(environment()), dict(environment())) == []
    assert environment()["processor"]["model"]
