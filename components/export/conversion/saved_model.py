"""TensorFlow's SavedModel, written so that equal models give equal bytes.

    saved_model/saved_model.pb    the graph with its weights as constants, and two signatures:
        serving_default    images: uint8   (N, H, W, C)  ->  probabilities: float32 (N, classes)
        serving_float      images: float32 (N, H, W, C), 0..255  ->  the same
    saved_model/assets/labels.txt             the class names, an asset of the graph
    saved_model/assets.extra/model_info.json  components.artifact_files.ModelDescription: TensorFlow leaves it alone

Keras' ExportArchive and tf.saved_model.save put counters of the process into the names of functions, iterate over sets
of variables, keep the random seeds of dropout and add a random fingerprint: two exports of one model never agree. A
frozen graph in TensorFlow 1's layout of a SavedModel has no functions, variables or fingerprint, is half the size, and
every reader of SavedModels takes it (tf.saved_model.load, TensorFlow Serving, the TFLite converter). At most 2 GB, the
limit of a protobuf.
"""

import json
from pathlib import Path
from typing import Any

from components.artifact_files import ModelDescription
from components.export import labels
from components.system.tensorflow import tensorflow

EXTRA = "assets.extra/model_info.json"


def write_saved_model(model: Any, folder: Path, about: ModelDescription) -> None:
    """Write *model*, a Keras model of uint8 pixels, to *folder*, which must not exist; it says what it is *about*."""
    tf = tensorflow()
    frozen = _freeze(model)
    builder = tf.compat.v1.saved_model.Builder(str(folder))
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(frozen.graph.as_graph_def(), name="")
        pixels, probabilities = (graph.get_tensor_by_name(t.name) for t in (frozen.inputs[0], frozen.outputs[0]))
        inputs = {"serving_default": pixels, "serving_float": _as_float(pixels)}
        signature = tf.compat.v1.saved_model.predict_signature_def
        signatures = {
            name: signature({"images": tensor}, {"probabilities": probabilities}) for name, tensor in inputs.items()
        }
        file = tf.constant(labels.FILE, name="labels")  # where it lies is put in its place when the model is loaded
        with tf.compat.v1.Session() as session:
            builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()
    _add_assets(folder, file.name, about)
    (folder / "variables").rmdir()  # empty; a store of files would lose it


def _add_assets(folder: Path, labels_tensor: str, about: ModelDescription) -> None:
    """Put the class names and *about* beside the graph; TensorFlow's builder would write its temporary path into it."""
    from tensorflow.core.protobuf import saved_model_pb2

    file = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    asset = model.meta_graphs[0].asset_file_def.add(filename=labels.FILE)
    asset.tensor_info.name = labels_tensor
    file.write_bytes(model.SerializeToString(deterministic=True))
    texts = {"assets/" + labels.FILE: labels.text(about["classes"]), EXTRA: json.dumps(about, indent=2, sort_keys=True)}
    for name, text in texts.items():
        (folder / name).parent.mkdir()
        (folder / name).write_text(text, encoding="utf-8")


def _freeze(model: Any) -> Any:
    """The inference function of *model* with its weights as constants."""
    tf = tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    images = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name="images")
    function = tf.function(lambda images: model(images, training=False), autograph=False)
    return convert_variables_to_constants_v2(function.get_concrete_function(images))


def _as_float(pixels: Any) -> Any:
    """The tensor in which *pixels* are float32: there float pixels enter the same graph."""
    casts = [tensor for op in pixels.consumers() for tensor in op.outputs if tensor.dtype == "float32"]
    if len(casts) != 1:
        raise ValueError(f"the model reads its pixels by {len(casts)} operations; expected one cast to float32")
    return casts[0]
