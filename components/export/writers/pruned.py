"""model-pruned.tflite: int8 throughout, most weights 0 (components.export.pruning)."""

from dataclasses import replace
from pathlib import Path

from components.export.formats import Format
from components.export.source import Source


def write(source: Source, file: Path) -> dict[str, float]:
    """Prune, then export as int8; returns the share of the weights that are 0."""
    from components.export.conversion.tflite import write_int8
    from components.export.pruning import prune, zeros

    scratch = source.scratch / "pruned"
    scratch.mkdir()
    pruned = replace(source, model=prune(source.file, source.normalize, source.params), scratch=scratch)
    write_int8(pruned.saved_model, file, source.calibration, source.description)
    return {"zeros": zeros(pruned.model)}


FORMAT = Format(
    "model-pruned.tflite",
    runtime="litert",
    write=write,
    distributions=("ai-edge-litert",),
    quantized=True,
    remedy="prune less or fine-tune longer: --set export.sparsity=0.6 --set export.finetune_epochs=5",
)
