"""Which images of a class are held out, by their content: test images by ingest, validation images by normalize.

Each image has a place from 0 to 1, made from the hash of its content, and those below the share are held out: copies
stay together, and another image moves none of the others. Left alone, chance would give a small class no test image, or
all of them; so the number is kept between half and twice the share of each class, by taking the lowest places.
"""

import math

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.float64]

SLACK = 2  # the share that is held out of a class lies within a factor of this


def held_out(places: Places, share: float, left: int) -> NDArray[np.bool_]:
    """Whether each image of one class is held out, by its place: (n,), equal places alike.

    At least one distinct image is held out where *left* others remain; of fewer, only those below *share*.
    """
    distinct = np.unique(places)
    below, most = int((distinct < share).sum()), len(distinct) - left
    low = min(max(1, math.floor(share * len(distinct) / SLACK)), most)
    high = min(max(1, math.floor(share * len(distinct) * SLACK)), most)
    bound = share if most < 1 or low <= below <= high else distinct[min(max(below, low), high)]
    chosen: NDArray[np.bool_] = places < bound
    return chosen


def places_of(hashes: NDArray[np.uint64], seed: int) -> Places:
    """The places, from 0 to 1, of images with *hashes*; another *seed* gives others.

    The hash is mixed with the seed by SplitMix64: G. Steele, D. Lea, C. Flood, Fast splittable pseudorandom number
    generators, 2014. https://doi.org/10.1145/2714064.2660195
    """
    with np.errstate(over="ignore"):
        mixed = hashes + np.uint64(seed + 1) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    places: Places = ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)) / 2.0**53
    return places
