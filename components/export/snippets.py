"""How to call the exported LiteRT file from four languages, for the model card."""

from collections.abc import Iterator
from string import Template
from typing import NamedTuple

from components.artifact_files import InputInfo


class Snippet(NamedTuple):
    title: str
    language: str  # of the Markdown block
    code: str


PYTHON = """\
import numpy as np
from ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert pillow numpy
from PIL import Image

with open("labels.txt", encoding="utf-8") as file:
    classes = file.read().split("\\n")[:-1]
interpreter = Interpreter("$file", num_threads=1)
interpreter.allocate_tensors()
picture = Image.open("picture.png").convert("$mode").resize(($width, $height), Image.Resampling.$filter)
pixels = np.asarray(picture, np.uint8).reshape(1, $height, $width, $channels)
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
interpreter.invoke()
probabilities = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]$scaled
print(classes[probabilities.argmax()], probabilities.max())
"""

JAVASCRIPT = """\
import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core"; // npm install @litertjs/core

await loadLiteRt("/wasm/"); // node_modules/@litertjs/core/wasm, served with the page
const model = await loadAndCompile("$file", { accelerator: "wasm" });
const pixels = new Uint8Array($height * $width * $channels); // 0 to 255, row by row
const input = new Tensor(pixels, [1, $height, $width, $channels]);
const [output] = await model.run(input);
const probabilities = output.toTypedArray(); // of the lines of labels.txt$times
input.delete();
output.delete();
"""

KOTLIN = """\
import java.io.File
import java.nio.ByteBuffer
import org.tensorflow.lite.Interpreter // implementation("com.google.ai.edge.litert:litert:1.4.0")

val interpreter = Interpreter(File(context.filesDir, "$file"))
val pixels = ByteBuffer.allocateDirect($height * $width * $channels) // a byte each, 0 to 255, row by row
val probabilities = arrayOf($array($classes)) // of the lines of labels.txt$times
interpreter.run(pixels, probabilities)
"""

CPP = """\
#include <algorithm>
#include <cstdint>
#include <memory>
#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/kernels/register.h"
#include "tensorflow/lite/model.h"

auto model = tflite::FlatBufferModel::BuildFromFile("$file");
tflite::ops::builtin::BuiltinOpResolver operations;
std::unique_ptr<tflite::Interpreter> interpreter;
tflite::InterpreterBuilder(*model, operations)(&interpreter);
interpreter->AllocateTensors();
std::copy_n(pixels, $height * $width * $channels, interpreter->typed_input_tensor<std::uint8_t>(0)); // row by row
interpreter->Invoke();
const auto* probabilities = interpreter->typed_output_tensor<$number>(0); // of the $classes lines of labels.txt$times
"""


def snippets(file: str, entry: InputInfo, classes: int, quantized: bool) -> Iterator[Snippet]:
    """The code that runs *file*; *quantized*: it answers in bytes, the probability times 256."""
    height, width, channels = entry["shape"]
    values = {
        "file": file,
        "height": height,
        "width": width,
        "channels": channels,
        "mode": "L" if channels == 1 else "RGB",
        "filter": entry["resize"].upper(),
        "classes": classes,
        "scaled": " / 256" if quantized else "",
        "times": ", times 256" if quantized else "",
        "array": "ByteArray" if quantized else "FloatArray",
        "number": "std::uint8_t" if quantized else "float",
    }
    for title, language, code in (
        ("Python", "python", PYTHON),
        ("JavaScript, in a browser", "javascript", JAVASCRIPT),
        ("Kotlin, on Android", "kotlin", KOTLIN),
        ("C++", "cpp", CPP),
    ):
        yield Snippet(title, language, Template(code).substitute(values))
