"""What the images are expected to be: inferred from the data, written as a file to edit, pinned by validate.schema.

{
  "version": 1,
  "classes": ["0", "1", ...],                names in the order of the class numbers
  "shape": [28, 28, 1],                      height, width, channels of every image
  "dtype": "uint8",
  "min_images": {"test": 5000, ...},         minimum number of images per split; inferred: half of those present
  "class_shares": {"0": 0.0987, ...}         expected share of the training images, within
}                                            validate.max_class_share_change; or [low, high], explicit bounds
"""

from components.artifact_files import SchemaFile, Statistics

VERSION = 1
DTYPE = "uint8"


def infer(statistics: Statistics) -> SchemaFile:
    """The schema that the training images of *statistics* comply with."""
    splits = statistics["splits"]
    counts = splits["train"]["histogram"] or []
    total = sum(counts)
    return {
        "version": VERSION,
        "classes": statistics["classes"],
        "shape": statistics["shape"],
        "dtype": DTYPE,
        "min_images": {name: split["images"] // 2 for name, split in splits.items() if name != "validation"},
        "class_shares": {
            name: round(count / total, 6)
            for name, count in zip(statistics["classes"], counts, strict=bool(counts))
            if total
        },
    }
