"""The record of a version's files: SHA256SUMS among them, written when the version is registered.

    SHA256SUMS            a line "sha256  name" for each file that register logged; `sha256sum --check` reads it
    MLmodel ...           those files

The version's tag files.sha256 is the sha256 of SHA256SUMS: from the tag to each byte, everything can be verified. What
is logged later is not in the record: exports have a tag of their own, and MLflow adds files where it loads a model.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from components.system.files import sha256_of_file

RECORD = "SHA256SUMS"
SHA256_TAG = "files.sha256"  # of SHA256SUMS, a tag of the version
LATER = ("exports", "signature")  # are logged after the registration
OF_MLFLOW = ("registered_model_meta", "__pycache__")  # it adds these where it loads a model


def write(folder: Path, known: Mapping[str, str]) -> str:
    """Record the files of *folder*, those of *known* (name -> sha256) as they should be; the sha256 of the record."""
    sums = {name: sha256_of_file(file) for name, file in files(folder).items()} | dict(known)
    content = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())).encode()
    (folder / RECORD).write_bytes(content)
    return sha256(content).hexdigest()


def read(folder: Path, digest: str) -> dict[str, str]:
    """Name -> sha256 of each recorded file; empty where the record in *folder* is not the one with this *digest*."""
    try:
        content = (folder / RECORD).read_bytes()
    except OSError:
        return {}
    if sha256(content).hexdigest() != digest:
        return {}
    lines = content.decode(errors="replace").splitlines()
    return {name: value for value, _, name in (line.partition("  ") for line in lines)}


def damages(folder: Path, sums: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The name of each file of *folder* that is not as *sums* says (name -> sha256), and what happened to it."""
    present = files(folder)
    for name, expected in sums.items():
        if name not in present:
            yield name, "is missing"
        elif (actual := sha256_of_file(present[name])) != expected:
            yield name, f"was changed, it has sha256 {actual[:16]}..., expected {expected[:16]}..."


def files(folder: Path) -> dict[str, Path]:
    """The files of *folder* that a record covers, by their names."""
    names = ((path.relative_to(folder), path) for path in folder.rglob("*") if not path.is_dir())
    return {
        name.as_posix(): path
        for name, path in names
        if name.parts[0] not in (RECORD, *LATER) and not {*OF_MLFLOW} & {*name.parts}
    }
