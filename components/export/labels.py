"""labels.txt: the class names in the order of the probabilities, as the samples of TensorFlow Lite read them."""

from collections.abc import Sequence

FILE = "labels.txt"


def text(classes: Sequence[str]) -> str:
    """A line for each class, whatever its name holds: the number of the line is that of the class."""
    return "".join(f"{' '.join(name.splitlines())}\n" for name in classes)
