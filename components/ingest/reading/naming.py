"""What a user's images are called: by the folder that means something, since many are called "dataset" or "train"."""

from collections.abc import Sequence
from pathlib import Path

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
# in lower case, without separators
GENERIC = {
    *("data", "dataset", "datasets", "database", "db", "set", "raw", "input", "inputs", "source", "src", "new"),
    *("files", "labels", "classes", "samples", "image", "images", "img", "imgs", "picture", "pictures", "pics"),
    *("photo", "photos", "train", "training", "trainset", "trainingset", "trainingdata", "val", "valid", "validation"),
    *("test", "testing", "archive", "archives", "zip", "unzipped", "extracted", "download", "downloads", "desktop"),
    *("documents", "tmp", "temp", "home", "users", "root", "mnt", "media", "volumes", "opt", "var", "srv"),
    *("work", "workspace"),
}


def source_name(source: Path) -> str:
    """The part of the absolute path *source*, a folder or an archive, that says what is in it: "sign" for sign/Dataset.

    No home folder, and nothing above one, says that.
    """
    homes = {Path.home(), Path("/home"), Path("/Users"), Path("/root")}
    parts = [source.name.removesuffix(archive_suffix(source.name))]
    for above in source.parents:
        if above in homes or above.parent in homes:
            break
        parts.append(above.name)
    return meaningful(parts)


def archive_suffix(name: str) -> str:
    """The end of *name* by which it is an archive, "" where it is none."""
    return next((name[-len(suffix) :] for suffix in ARCHIVES if name.lower().endswith(suffix)), "")


def meaningful(parts: Sequence[str]) -> str:
    """The first of *parts* that is not GENERIC; the first one where all are."""
    return next((part for part in parts if part and not is_generic(part)), parts[0])


def is_generic(name: str) -> bool:
    return "".join(filter(str.isalnum, name.lower())) in GENERIC | {""}
