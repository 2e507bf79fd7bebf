"""What a training takes from the machine and its networks where the settings leave it open. Standard library only.

All of it enters the key by value, like any setting: two machines that differ in it make two models under two keys.
"""

from contextlib import suppress
from dataclasses import replace

from components.errors import ConfigError
from components.models.catalog import imagenet_file, preferred_precision
from components.settings.augmentation import AUTO
from components.settings.sections import OF_TRAINING, Train
from components.system.processor import cores, has_fast_bfloat16
from components.train.distributed.cluster import cluster


def settled(params: Train) -> Train:
    """*params* with a precision for "auto", and for 0 threads the cores that each worker on this machine has.

    A network with ImageNet weights scales pixels as these expect, so no image is standardized by itself before.
    """
    precision = _fastest_precision(params) if params.precision == "auto" else params.precision
    own_scaling = any(imagenet_file(name) is not None for name in params.networks)
    standardize = OF_TRAINING if own_scaling and params.standardize == AUTO else params.standardize
    threads = params.threads or max(1, cores() // _workers_here(params))
    return replace(params, precision=precision, threads=threads, standardize=standardize)


def _fastest_precision(params: Train) -> str:
    """The precision in which all networks of the settings train fastest here; float32 where they differ in that."""
    fastest = "mixed_bfloat16" if has_fast_bfloat16() else "float32"
    preferred = {preferred_precision(name, fastest) for name in params.networks}
    return preferred.pop() if len(preferred) == 1 else "float32"


def _workers_here(params: Train) -> int:
    with suppress(ConfigError):  # of a TF_CONFIG that does not match, which is refused where a run begins
        return len(cluster(params.workers).here)
    return params.workers
