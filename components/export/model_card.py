"""README.md: the model card, as Hugging Face's model cards have it, Markdown after a block of YAML."""

from components.artifact_files import Metrics, ModelInfo, NormalizedData
from components.formatting import percent, points
from components.public_text import public


def model_card(info: ModelInfo, data: NormalizedData, metrics: Metrics) -> str:
    """The text of the card."""
    interval = f"{points(info['wilson_low'])} to {percent(info['wilson_high'])}"
    text: str = public(
        f"# {info['model']}, version {info['version']}\n\n"
        f"Classifies images of {data['name']}: {percent(info['accuracy'])} of {info['n']:,} test images right "
        f"(95 % interval {interval}).\n"
    )
    return text
