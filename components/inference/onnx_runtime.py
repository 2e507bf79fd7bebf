"""ONNX files, run by ONNX Runtime; needs no TensorFlow."""

from pathlib import Path

from components.data.splits import Images
from components.models.prediction import Predictor, Probabilities


def load_onnx(file: Path, threads: int) -> Predictor:
    """The model in *file* as a function of uint8 (N, H, W, C) pixels, run on *threads* threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def model(images: Images) -> Probabilities:
        probabilities: Probabilities = session.run(["probabilities"], {"images": images})[0]
        return probabilities

    return model
