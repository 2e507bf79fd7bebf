"""What mlflow.pyfunc runs: the probabilities as a table, a column for each class under its name.

A copy of this file lies beside each registered model: MLflow imports it where this project is not installed.
"""

from typing import Any


class ClassProbabilities:
    """A Keras model and the names of its columns."""

    def __init__(self, model: Any, columns: list[str]) -> None:
        self._model, self._columns = model, columns

    def predict(self, images: Any) -> Any:
        """uint8 (N, H, W, C), 0 to 255, to a DataFrame of float32, a row for each image."""
        import pandas as pd

        return pd.DataFrame(self._model.predict(images, verbose=0), columns=self._columns)


def _load_pyfunc(path: str) -> ClassProbabilities:
    """The model in the folder *path*, with the columns of its signature; MLflow looks for a function of this name."""
    import mlflow.keras
    from mlflow.models import Model

    return ClassProbabilities(mlflow.keras.load_model(path), Model.load(path).signature.outputs.input_names())
