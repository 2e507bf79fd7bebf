"""How much the colours of an image alone say about its class, whatever they form: a skill score.

Each image is classified by its colour histogram and those of all others, in two ways: by the images most like it, which
sees classes of several looks, and by ridge regression, which sees a small part of the image that has the colour of its
class. The better one counts. The score is 0 where it is no better than answering the most frequent class, and 1 where
it is always right (the skill score of forecasting: A. H. Murphy, Mon. Wea. Rev. 116 (1988) 2417-2424).
Shapes of any colour score 0.03, emoji in nine categories 0.56, spots of three colours on natural noise 0.83, MNIST's
grey values 0.17.
"""

import numpy as np
from numpy.typing import NDArray

from components.data.splits import Labels, Split, chunks

MOST_IMAGES = 2000  # drawn evenly from the split: a second of one core
NEIGHBOURS = 5
RIDGE = 0.1  # penalty of the regression, in units of the mean variance of a bin
SMALLEST = 1e-9  # of what is divided by
DECIMALS = 6  # of the regression's answers that count, so that every processor gives the same class
GREY_LEVELS, COLOUR_LEVELS = 16, 4  # that the values of a channel are divided into, of one and of several channels
ROOTS = 255  # square roots of shares are rounded to multiples of 1/255
AT_ONCE = 32  # images whose pixels, or distances, are in memory


def colour_skill(split: Split, classes: int) -> float:
    """The skill score of the colours of *split*, -1 to 1 (below 0: worse than the most frequent class)."""
    chosen = np.unique(np.linspace(0, len(split) - 1, min(MOST_IMAGES, len(split))).astype(np.int64))
    histograms = np.concatenate([_histograms(split, part) for part in chunks(chosen, split.shape, AT_ONCE)])
    return skill(histograms, split.labels[chosen], classes)


def _histograms(split: Split, indices: NDArray[np.int64]) -> NDArray[np.float32]:
    histograms = root_histograms(split.take(indices))
    split.close()
    return histograms


def root_histograms(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The joint histogram of the channels of each of *images* (n, H, W, C), float32 (n, bins) of whole numbers.

    They are the square roots of the shares, whose Euclidean distance is Hellinger's, times ROOTS and rounded.
    """
    count, height, width, channels = images.shape
    levels = GREY_LEVELS if channels == 1 else COLOUR_LEVELS
    bins = levels**channels
    codes = np.zeros((count, height, width), np.int64)
    for channel in range(channels):
        codes = codes * levels + images[..., channel] // (256 // levels)
    codes += bins * np.arange(count)[:, None, None]
    counts = np.bincount(codes.reshape(-1), minlength=count * bins).reshape(count, bins)
    rooted: NDArray[np.float32] = np.rint(ROOTS * np.sqrt(counts / (height * width))).astype(np.float32)
    return rooted


def skill(features: NDArray[np.float32], labels: Labels, classes: int) -> float:
    """The skill score of classifying each row of *features*, whole numbers, by the other rows."""
    count, most = len(labels), int(np.bincount(labels, minlength=classes).max())
    if count <= NEIGHBOURS or most == count:
        return 0.0
    answers = (by_neighbours(features, labels, classes), by_regression(features, labels, classes))
    return (max(int((answer == labels).sum()) for answer in answers) - most) / (count - most)


def by_neighbours(features: NDArray[np.float32], labels: Labels, classes: int) -> Labels:
    """The class that most of the NEIGHBOURS nearest other rows of each row have.

    Of classes with equally many votes the one with the lowest number wins, of equally near rows the first. The
    distances are exact.
    """
    squares = (features**2).sum(1)
    parts = np.array_split(np.arange(len(labels)), -(-len(labels) // AT_ONCE))
    nearest = np.concatenate([_nearest(features, squares, rows) for rows in parts])
    answers: Labels = (labels[nearest][:, :, None] == np.arange(classes)).sum(1).argmax(1)
    return answers


def by_regression(features: NDArray[np.float32], labels: Labels, classes: int) -> Labels:
    """The class that ridge regression on all other rows gives each row.

    Leaving a row out is a division: D. M. Allen, Technometrics 16 (1974) 125-127.
    """
    rows = features.astype(np.float64) / ROOTS
    rows -= rows.mean(0)
    wanted = np.eye(classes)[labels]
    covariance = rows.T @ rows
    penalty = RIDGE * np.trace(covariance) / len(covariance) + np.finfo(np.float64).tiny
    inverse = np.linalg.solve(covariance + penalty * np.eye(len(covariance)), rows.T)
    fitted = wanted.mean(0) + rows @ (inverse @ (wanted - wanted.mean(0)))
    leverage = np.einsum("ij,ji->i", rows, inverse) + 1 / len(rows)
    left_out = wanted - (wanted - fitted) / np.maximum(1 - leverage, SMALLEST)[:, None]
    answers: Labels = left_out.round(DECIMALS).argmax(1)
    return answers


def _nearest(features: NDArray[np.float32], squares: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The NEIGHBOURS nearest other rows of each of *rows*: int64 (rows, NEIGHBOURS)."""
    distances = (squares[rows, None] + squares - 2 * features[rows] @ features.T).astype(np.int64)
    distances[np.arange(len(rows)), rows] = np.iinfo(np.int32).max
    order = distances * len(squares) + np.arange(len(squares))  # no two are equal, so the nearest are determined
    nearest: NDArray[np.int64] = np.argpartition(order, NEIGHBOURS - 1)[:, :NEIGHBOURS]
    return nearest.copy()  # without the rest of the rows in memory
