"""The runtimes that run an exported model, each imported only where it is used."""

from pathlib import Path

from components.models.prediction import Predictor

NAMES = {"litert": "LiteRT", "onnxruntime": "ONNX Runtime", "tensorflow": "TensorFlow"}


def load(runtime: str, file: Path, threads: int) -> Predictor:
    """The model in *file*, run on *threads* threads (TensorFlow: always on one)."""
    if runtime == "litert":
        from components.inference.litert_runtime import LiteRT

        return LiteRT(file.read_bytes(), threads)
    if runtime == "onnxruntime":
        from components.inference.onnx_runtime import load_onnx

        return load_onnx(file, threads)
    from components.inference.tensorflow_runtime import load_tensorflow

    return load_tensorflow(file)
