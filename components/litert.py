"""Run a TFLite file over a split as a phone would: by LiteRT, in a process of its own that has no TensorFlow.

python -m components.litert MODEL.tflite SPLIT OUT.npy     writes the probabilities, float32 (N, classes), to OUT.npy
                                                            and prints {"microseconds": median for one image, ...}
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.splits import Split

BATCH = 256
WARM_UP, TIMED = 20, 200  # single images


def predict_litert(model: Path, split: Path) -> tuple[NDArray[np.float32], float]:
    """Probabilities (N, classes) of the file *model* for every image of the folder *split*, and the median microseconds
    that one image takes on one thread; measured in a fresh process.
    """
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "predictions.npy")
        command = [sys.executable, "-m", "components.litert", str(model.absolute()), str(split.absolute()), str(out)]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"LiteRT cannot run {model.name}: {done.stderr.strip()[-2000:]}")
        return np.load(out, allow_pickle=False), json.loads(done.stdout.splitlines()[-1])["microseconds"]


def predict(model: Path, split: Split) -> NDArray[np.float32]:
    """Batch after batch, on all cores."""
    interpreter = _interpreter(model, os.cpu_count() or 1)
    parts = []
    for images, _ in split.blocks(BATCH):
        entry = interpreter.get_input_details()[0]
        if entry["shape"][0] != len(images):
            interpreter.resize_tensor_input(entry["index"], images.shape)
            interpreter.allocate_tensors()
        parts.append(_run(interpreter, images))
    return np.concatenate(parts)


def microseconds(model: Path, split: Split) -> float:
    """Median time that one image takes on one thread."""
    interpreter = _interpreter(model, 1)
    interpreter.allocate_tensors()
    times = []
    for i in range(WARM_UP + TIMED):
        image = split.take(np.array([i % len(split)]))
        start = time.perf_counter()
        _run(interpreter, image)
        times.append(time.perf_counter() - start)
    return statistics.median(times[WARM_UP:]) * 1e6


def _interpreter(model: Path, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=model.read_bytes(), num_threads=threads)


def _run(interpreter: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Raw pixels in; integers that come out are turned into the probabilities that they stand for."""
    entry, end = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if entry["dtype"] != np.uint8 or (entry["quantization"][0] and entry["quantization"] != (1.0, 0)):
        raise ValueError(
            f"the input is {entry['dtype'].__name__} with (scale, zero) {entry['quantization']}; expected uint8 pixels"
        )
    interpreter.set_tensor(entry["index"], images)
    interpreter.invoke()
    raw: NDArray[Any] = interpreter.get_tensor(end["index"])
    scale, zero = end["quantization"]
    return ((raw.astype(np.float32) - zero) * scale if scale else raw).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("split", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    split = Split(args.split)
    np.save(args.out, predict(args.model, split))
    if "tensorflow" in sys.modules:
        raise RuntimeError("TensorFlow was loaded: this would not measure what a phone computes")
    sys.stdout.write(json.dumps({"microseconds": microseconds(args.model, split)}) + "\n")


if __name__ == "__main__":
    main()
