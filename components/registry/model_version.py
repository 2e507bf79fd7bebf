"""A version of a registered model, and the tags by which it is found again."""

from dataclasses import dataclass, field

MODEL_SHA256_TAG = "model_digest"  # the name that registries hold already
ROLLED_BACK_TAG = "rolled_back"


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model; `created` in milliseconds since 1970, tags are the version's."""

    name: str
    version: str
    aliases: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    run_id: str = ""
    source: str = ""
    created: int = 0

    @property
    def model_sha256(self) -> str:
        """The sha256 of the file model.keras; empty where something other than this pipeline registered the version."""
        return self.tags.get(MODEL_SHA256_TAG, "")

    @property
    def accuracy(self) -> float | None:
        """The accuracy on its own test images; None where none is written, or a user of MLflow wrote something else."""
        try:
            return float(self.tags["accuracy"])
        except (KeyError, ValueError):
            return None
