"""ONNX files, converted from a SavedModel.

    model.onnx    images: uint8 (N, H, W, C)  ->  probabilities: float32 (N, classes), opset 17; metadata_props has
                  model, version, classes and input (components.artifact_files.ModelDescription), lists as JSON

python -m components.export.conversion.onnx SAVED_MODEL FILE     writes it, with the description on standard input

tf2onnx iterates over sets and names nodes by counters of the process: two conversions of one model never agree. So it
runs in a process of its own with a fixed hash seed, and its result is brought into one order and named by position.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from components.artifact_files import ModelDescription
from components.errors import ExportRejected

OPSET = 17  # of 2022: every runtime of the last years reads it


def write_onnx(saved_model: Path, file: Path, about: ModelDescription) -> None:
    """Convert *saved_model* to *file*, which says what it is *about*.

    Raises ExportRejected where ONNX lacks one of its operations.
    """
    command = [
        sys.executable,
        "-m",
        "components.export.conversion.onnx",
        str(saved_model.absolute()),
        str(file.absolute()),
    ]
    done = subprocess.run(
        command,
        cwd=Path(__file__).resolve().parents[3],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        input=json.dumps(about),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ExportRejected(
            f"the network cannot be written as {file.name}: {reason[:500]}; leave onnx out of export.formats"
        )


def convert(saved_model: Path) -> Any:
    """The ONNX model (onnx.ModelProto) of the signature serving_default; raises ValueError where there is none."""
    from components.system.tensorflow import tensorflow

    tensorflow()
    import tf2onnx
    from tensorflow.core.protobuf import saved_model_pb2

    graph = saved_model_pb2.SavedModel.FromString((saved_model / "saved_model.pb").read_bytes()).meta_graphs[0]
    signature = graph.signature_def["serving_default"]
    names = [signature.inputs["images"].name], [signature.outputs["probabilities"].name]
    model, _ = tf2onnx.convert.from_graph_def(graph.graph_def, input_names=names[0], output_names=names[1], opset=OPSET)
    _expect_known(model.graph.node)
    return canonical(model)


def _describe(model: Any, about: ModelDescription) -> None:
    """Set the properties by which ONNX Runtime and others show what *model* is about."""
    from onnx.helper import set_model_props

    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in about.items()}
    set_model_props(model, dict(sorted(texts.items())))
    model.model_version = int(about["version"])


def _expect_known(nodes: Any) -> None:
    """Raise ValueError with the operations that ONNX lacks: tf2onnx only warns of them."""
    from onnx import defs

    if unknown := [f"{node.op_type} ({node.name})" for node in nodes if not defs.has(node.op_type, node.domain)]:
        raise ValueError(f"ONNX has no {', '.join(sorted(unknown))}")


def canonical(model: Any) -> Any:
    """*model* with its nodes in the order in which its result needs them, and values named by position."""
    graph = model.graph
    nodes = _in_order(graph)
    names = {graph.input[0].name: "images", graph.output[0].name: "probabilities", "": ""}
    for value in (value for node in nodes for value in (*node.input, *node.output)):
        names.setdefault(value, f"v{len(names)}")
    for node in nodes:
        node.name = node.doc_string = ""
        node.input[:] = [names[value] for value in node.input]
        node.output[:] = [names[value] for value in node.output]
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        del node.attribute[:]
        node.attribute.extend(attributes)
    constants = [constant for constant in graph.initializer if constant.name in names]
    for tensor in (*constants, graph.input[0], graph.output[0]):
        tensor.name = names[tensor.name]
    for tensor in (graph.input[0], graph.output[0]):
        tensor.type.tensor_type.shape.dim[0].dim_param = "N"
    _replace(graph.node, nodes)
    _replace(graph.initializer, sorted(constants, key=lambda constant: int(constant.name[1:])))
    del graph.value_info[:]
    graph.name, graph.doc_string = "model", ""
    return model


def _replace(field: Any, items: list[Any]) -> None:
    copies = [type(item).FromString(item.SerializeToString(deterministic=True)) for item in items]
    del field[:]
    field.extend(copies)


def _in_order(graph: Any) -> list[Any]:
    """The nodes that the result needs, each after those it reads: one order, whatever the original one."""
    makers = {value: node for node in graph.node for value in node.output}
    ordered: list[Any] = []
    made: set[str] = set()
    pending = [graph.output[0].name]
    while pending:
        node = makers.get(pending[-1])
        missing = [value for value in node.input if value in makers and value not in made] if node else []
        if missing:
            pending.append(missing[0])
            continue
        if node and pending[-1] not in made:
            ordered.append(node)
            made.update(node.output)
        pending.pop()
    return ordered


def main() -> None:
    saved_model, file = map(Path, sys.argv[1:])
    try:
        model = convert(saved_model)
        _describe(model, json.load(sys.stdin))
    except (ValueError, KeyError, NotImplementedError) as error:
        sys.exit(" ".join(str(error).split()))
    file.write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
