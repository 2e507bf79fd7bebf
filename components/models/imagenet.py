"""The files of ImageNet weights, as keras.applications keeps them. Standard library only."""

from dataclasses import dataclass

ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True)
class ImagenetFile:
    """A file in $KERAS_HOME/models; *md5* is "" where Keras knows none."""

    name: str
    folder: str  # below ADDRESS
    size: int  # bytes
    md5: str = ""

    @property
    def url(self) -> str:
        return f"{ADDRESS}/{self.folder}/{self.name}"
