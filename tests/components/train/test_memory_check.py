"""Memory check: a batch too large for memory is rejected before the first step, or when the estimate fails."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import ConfigError
from components.models import build
from components.models.config import ModelConfig
from components.train.memory_check import check, explained, image_bytes, weight_bytes
from tests.support.small_training import write_normalized

MNIST = ModelConfig((28, 28, 1), 10)


def test_a_batch_that_does_not_fit_is_rejected_with_the_largest_that_does() -> None:
    """The setting, the memory it takes, the free memory, and a batch that passes where one more image would not."""
    model = build.build("cnn", MNIST, mean=[0.1], std=[0.3])
    free = weight_bytes(model) + 1000 * image_bytes(model)
    check(model, 1000, free)
    with pytest.raises(ConfigError) as error:
        check(model, 60_000, free)
    assert str(error.value) == (
        "train.batch_size is 60000: a step on that many images takes about 23.2 GB of memory, and 387.9 MB are free; "
        "set train.batch_size=1000 or less"
    )
    with pytest.raises(ConfigError, match=r"set train\.batch_size=1000 "):
        check(model, 1001, free)


def test_a_network_that_does_not_fit_at_all_is_rejected() -> None:
    """Where the weights alone are too large, no batch is suggested."""
    model = build.build("dense", MNIST, mean=[0.1], std=[0.3])
    with pytest.raises(ConfigError, match=r"choose a smaller train\.model or train\.width"):
        check(model, 1, free=1000)


def test_running_out_of_memory_later_gives_the_same_message() -> None:
    """For TensorFlow's own error, raised for an allocation that is impossible on any machine."""
    from components.system.tensorflow import tensorflow

    tf = tensorflow()
    model = build.build("dense", MNIST, mean=[0.1], std=[0.3])
    with (
        pytest.raises(ConfigError, match=r"train\.batch_size is 64: .*; set train\.batch_size=32 or less"),
        explained(model, 64, 10**12),
    ):
        tf.zeros((2**21, 2**21))


LIMITED = """
import resource, sys
from pathlib import Path
from components.system.tensorflow import tensorflow
from components.errors import ConfigError
tensorflow()
limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + 600 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from components.settings.sections import Train
from tests.support.small_training import run
try:
    run(Path(sys.argv[1]), Path(sys.argv[2]), model="cnn", width=8.0, batch_size=65536)
except ConfigError as error:
    print(error)
"""


def test_a_training_in_a_process_with_a_limit_is_rejected_before_it_starts(tmp_path: Path) -> None:
    """`ulimit -v` leaves 600 MB: a batch of all 4,000 images is rejected, and nothing is written."""
    normalized = write_normalized(tmp_path / "normalize", images=4000)
    command = [sys.executable, "-c", LIMITED, str(normalized), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert re.fullmatch(
        r"train\.batch_size is 4000: a step .* takes about [\d.]+ [GM]B of memory, and [\d.]+ MB are free; set .*\n",
        done.stdout,
    ), done.stderr
    assert not any((tmp_path / "work").iterdir())
