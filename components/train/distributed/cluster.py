"""The workers of a distributed training (train.workers): processes of this machine, or of those that TF_CONFIG names.

    TF_CONFIG={"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}

The variable is TensorFlow's own: https://www.tensorflow.org/guide/distributed_training#setting_up_the_tf_config_environment_variable
Workers are numbered from 0; number 0 is the chief, which alone writes. Standard library only: the runner asks here
whether this machine publishes.
"""

import json
import os
from dataclasses import dataclass
from typing import Any

from components.errors import ConfigError

VARIABLE = "TF_CONFIG"
EXAMPLE = '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'
JOBS = ("chief", "worker")  # in the order of their numbers


@dataclass(frozen=True)
class Cluster:
    """The workers of a training, and which of them run here: with *addresses* the one of *number*, else all."""

    size: int
    addresses: tuple[str, ...] = ()  # HOST:PORT by number; those of this machine alone are chosen at the start
    number: int = 0

    @property
    def here(self) -> tuple[int, ...]:
        return (self.number,) if self.addresses else tuple(range(self.size))

    @property
    def assists(self) -> bool:
        """Whether another machine has the chief, which writes and publishes the model."""
        return self.number > 0


def cluster(workers: int) -> Cluster:
    """The cluster of a training with *workers* processes; raises ConfigError where TF_CONFIG does not match."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return Cluster(workers)
    try:
        addresses, number = _read(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
        raise ConfigError(f"TF_CONFIG is {text!r} ({reason}); expected JSON such as {EXAMPLE}") from None
    if max(1, len(addresses)) != workers:
        raise ConfigError(
            f"TF_CONFIG names {len(addresses)} workers, and train.workers is {workers}; "
            f"take --set train.workers={max(1, len(addresses))}, or unset TF_CONFIG to train on this machine alone"
        )
    return Cluster(workers, addresses, number) if workers > 1 else Cluster(1)


def _read(config: Any) -> tuple[tuple[str, ...], int]:
    """The addresses by number, and the number of this process; raises ValueError with what is wrong."""
    jobs, task = dict(config.get("cluster", {})), config.get("task", {})
    if other := [job for job in jobs if job not in JOBS]:
        raise ValueError(f"the job {other[0]!r} takes no part in this training")
    names = [(job, index) for job in JOBS for index in range(len(jobs.get(job, [])))]
    addresses = tuple(str(jobs[job][index]) for job, index in names)
    if wrong := [address for address in addresses if not _is_address(address)]:
        raise ValueError(f"{wrong[0]!r} is not HOST:PORT")
    if len(set(addresses)) < len(addresses):
        raise ValueError("two workers have the same address")
    if not addresses:
        return (), 0
    me = (task.get("type"), task.get("index"))
    if me not in names:
        raise ValueError(f"there is no {me[0]} number {me[1]} in its cluster")
    return addresses, names.index(me)


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 2**16
