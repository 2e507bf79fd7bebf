"""TFLite files, run by LiteRT as a phone runs them; needs no TensorFlow."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.splits import Images


class LiteRT:
    """A TFLite file to be called: raw pixels, uint8 (N, H, W, C), to probabilities, float32 (N, classes)."""

    def __init__(self, file: Path, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_content=file.read_bytes(), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._entry = self._interpreter.get_input_details()[0]
        self._end = self._interpreter.get_output_details()[0]
        self._room = int(self._entry["shape"][0])
        scale, zero = self._entry["quantization"]
        if self._entry["dtype"] != np.uint8 or (scale and (scale, zero) != (1.0, 0)):
            kind = self._entry["dtype"].__name__
            raise ValueError(f"the input is {kind} with (scale, zero) ({scale}, {zero}); expected uint8 pixels")

    def __call__(self, images: Images) -> NDArray[np.float32]:
        """Integers that come out are turned into the probabilities that they stand for."""
        if len(images) != self._room:
            self._interpreter.resize_tensor_input(self._entry["index"], images.shape)
            self._interpreter.allocate_tensors()
            self._room = len(images)
        self._interpreter.set_tensor(self._entry["index"], images)
        self._interpreter.invoke()
        raw: NDArray[Any] = self._interpreter.get_tensor(self._end["index"])
        scale, zero = self._end["quantization"]
        return ((raw.astype(np.float32) - zero) * scale if scale else raw).astype(np.float32)
