"""How large a network is: parameters, bytes, and the multiply-accumulates that one image costs."""

import math
from collections.abc import Callable
from typing import Any

from components.system.tensorflow import tensorflow

FLOAT32 = 4  # bytes


def _convolution(op: Any) -> int:
    """Each number of the output is a sum over the filter (height, width, channels in, channels out) of one output."""
    return numbers(op.outputs[0].shape) * numbers(op.inputs[1].shape[:-1])


def _depthwise(op: Any) -> int:
    """The filter is (height, width, channels in, multiplier), and no channel sees another."""
    return numbers(op.outputs[0].shape) * numbers(op.inputs[1].shape[:2])


def _transposed(op: Any) -> int:
    """As the convolution whose gradient it is: its input is that one's output."""
    return numbers(op.inputs[2].shape) * numbers(op.inputs[1].shape[:-1])


def _product(op: Any) -> int:
    flipped = any(op.get_attr(name) for name in ("transpose_a", "adj_x") if name in op.node_def.attr)
    return numbers(op.outputs[0].shape) * int(op.inputs[0].shape[-2 if flipped else -1] or 0)


def _einsum(op: Any) -> int:
    """Every index that occurs runs once over its length; those that "..." stands for are numbered from the right."""
    lengths: dict[str, int] = {}
    for term, tensor in zip(op.get_attr("equation").decode().partition("->")[0].split(","), op.inputs, strict=True):
        unnamed = "9876543210"[10 - tensor.shape.rank + len(term.replace("...", "")) :]
        lengths |= dict(zip(term.replace("...", unnamed), tensor.shape, strict=True))
    return math.prod(lengths.values())


KINDS: dict[str, tuple[str, Callable[[Any], int]]] = {
    "Conv2D": ("convolution", _convolution),
    "DepthwiseConv2dNative": ("depthwise convolution", _depthwise),
    "Conv2DBackpropInput": ("transposed convolution", _transposed),
    "MatMul": ("dense", _product),
    "BatchMatMulV2": ("attention", _product),
    "Einsum": ("attention", _einsum),
}


def sizes(model: Any) -> dict[str, Any]:
    """parameters, weight_bytes (in float32), macs for one image, and macs_by_type of operation, of a Keras *model*.

    Counted in TensorFlow's own graph of the model, whatever layers it is made of, in the way of the MobileNets
    (arXiv:1704.04861): what is multiplied and added up. Biases, activations, pooling and normalisation count nothing,
    nor do grouped convolutions, which Keras compiles apart on a processor.
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


def graph(model: Any, *, training: bool = False) -> Any:
    """What TensorFlow computes of one image, as a tf.Graph; nothing is run."""
    tf = tensorflow()
    image = tf.TensorSpec((1, *model.input_shape[1:]), tf.as_dtype(model.inputs[0].dtype))
    return tf.function(lambda x: model(x, training=training), autograph=False).get_concrete_function(image).graph


def numbers(shape: Any) -> int:
    """How many numbers a tensor of *shape* holds."""
    return int(shape.num_elements() or 0)  # None where the shape is known only while it runs
