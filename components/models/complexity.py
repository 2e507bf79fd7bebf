"""How complex a network is: parameters, bytes, and multiply-accumulates for one image."""

import math
from collections.abc import Callable
from typing import Any

from components.artifact_files import Complexity
from components.system.tensorflow import KerasModel, tensorflow

FLOAT32 = 4  # bytes

Operation = Any  # tf.Operation, which has no annotations
Graph = Any  # tf.Graph


def _convolution(op: Operation) -> int:
    """Each output is a sum over a filter of (height, width, channels in); the kernel's last axis is channels out."""
    return element_count(op.outputs[0].shape) * element_count(op.inputs[1].shape[:-1])


def _depthwise(op: Operation) -> int:
    """The kernel is (height, width, channels in, multiplier), and each channel sees only itself."""
    return element_count(op.outputs[0].shape) * element_count(op.inputs[1].shape[:2])


def _transposed(op: Operation) -> int:
    """As the convolution whose gradient it is: its input has the shape of that convolution's output."""
    return element_count(op.inputs[2].shape) * element_count(op.inputs[1].shape[:-1])


def _product(op: Operation) -> int:
    flipped = any(op.get_attr(name) for name in ("transpose_a", "adj_x") if name in op.node_def.attr)
    return element_count(op.outputs[0].shape) * int(op.inputs[0].shape[-2 if flipped else -1] or 0)


def _einsum(op: Operation) -> int:
    """The product of the lengths of all indices; those that "..." stands for are numbered from the right."""
    lengths: dict[str, int] = {}
    for term, tensor in zip(op.get_attr("equation").decode().partition("->")[0].split(","), op.inputs, strict=True):
        unnamed = "9876543210"[10 - tensor.shape.rank + len(term.replace("...", "")) :]
        lengths |= dict(zip(term.replace("...", unnamed), tensor.shape, strict=True))
    return math.prod(lengths.values())


KINDS: dict[str, tuple[str, Callable[[Operation], int]]] = {
    "Conv2D": ("convolution", _convolution),
    "DepthwiseConv2dNative": ("depthwise convolution", _depthwise),
    "Conv2DBackpropInput": ("transposed convolution", _transposed),
    "MatMul": ("dense", _product),
    "BatchMatMulV2": ("attention", _product),
    "Einsum": ("attention", _einsum),
}


def complexity(model: KerasModel) -> Complexity:
    """Parameters, bytes of the weights in float32, and multiply-accumulates for one image, also by type of operation.

    They are counted in TensorFlow's graph of the model, whatever its layers are, as in the MobileNet papers
    (arXiv:1704.04861). Biases, activations, pooling and normalisation are not counted, nor are grouped convolutions,
    which Keras compiles separately on a CPU.
    """
    by_type: dict[str, int] = {}
    for op in graph(model).get_operations():
        if op.type in KINDS:
            kind, count = KINDS[op.type]
            by_type[kind] = by_type.get(kind, 0) + count(op)
    parameters = model.count_params()
    return {
        "parameters": parameters,
        "weight_bytes": FLOAT32 * parameters,
        "macs": sum(by_type.values()),
        "macs_by_type": by_type,
    }


def graph(model: KerasModel, *, training: bool = False) -> Graph:
    """The graph that TensorFlow computes for one image; nothing is run."""
    tf = tensorflow()
    image = tf.TensorSpec((1, *model.input_shape[1:]), tf.as_dtype(model.inputs[0].dtype))
    return tf.function(lambda x: model(x, training=training), autograph=False).get_concrete_function(image).graph


def element_count(shape: Any) -> int:
    """The number of elements of a tensor of *shape*, a tf.TensorShape."""
    return int(shape.num_elements() or 0)  # None where the shape is known only at run time
