"""SavedModels and .keras files, run by TensorFlow."""

from pathlib import Path
from typing import Any

from components.data.splits import Images
from components.models.prediction import Predictor, Probabilities, keras_predictor
from components.models.saving import read_model
from components.system.tensorflow import tensorflow


def load_tensorflow(path: Path) -> Predictor:
    """The model at *path* as a function of uint8 (N, H, W, C) pixels, on one thread: TensorFlow sets it per process."""
    tf = tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return keras_predictor(read_model(path)) if path.suffix == ".keras" else _saved_model(tf, path)


def _saved_model(tf: Any, folder: Path) -> Predictor:
    loaded = tf.saved_model.load(str(folder))

    def model(images: Images) -> Probabilities:
        outputs = loaded.signatures["serving_default"](images=tf.constant(images))
        probabilities: Probabilities = outputs["probabilities"].numpy()
        return probabilities

    return model  # it holds *loaded*, whose functions die with it
