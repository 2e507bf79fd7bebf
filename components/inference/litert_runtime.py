"""TFLite files, run by LiteRT as on a phone; needs no TensorFlow."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.splits import Images
from components.models.prediction import Probabilities


class LiteRT:
    """A TFLite file as a function: raw pixels, uint8 (N, H, W, C), to probabilities, float32 (N, classes)."""

    def __init__(self, content: bytes, threads: int) -> None:
        """*content* is that of the file; raises ValueError or RuntimeError where LiteRT cannot run it."""
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_content=content, num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        self._batch_size = int(self._input["shape"][0])
        scale, zero = self._input["quantization"]
        if self._input["dtype"] != np.uint8 or (scale and (scale, zero) != (1.0, 0)):
            kind = self._input["dtype"].__name__
            raise ValueError(f"the input is {kind} with (scale, zero) ({scale}, {zero}); expected uint8 pixels")

    def __call__(self, images: Images) -> Probabilities:
        """Quantised outputs are converted to the probabilities that they represent."""
        if not len(images):  # convolutions are not prepared for an empty batch
            return np.empty((0, int(self._output["shape"][-1])), np.float32)
        if len(images) != self._batch_size:
            self._interpreter.resize_tensor_input(self._input["index"], images.shape)
            self._interpreter.allocate_tensors()
            self._batch_size = len(images)
        self._interpreter.set_tensor(self._input["index"], images)
        self._interpreter.invoke()
        raw: NDArray[Any] = self._interpreter.get_tensor(self._output["index"])
        scale, zero = self._output["quantization"]
        return ((raw.astype(np.float32) - zero) * scale if scale else raw).astype(np.float32)
