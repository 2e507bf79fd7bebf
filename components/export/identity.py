"""What an export says of its model beside what it computes. Standard library only: every run reads it for the key."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """Each field is an input of the recipe of export, so that equal recipes give equal bytes.

    *model* and *version* are the registry's, *commit* is that of the code that registered the version; *fit* and
    *resize* say how ingest brings images to one size.
    """

    model: str
    version: str
    commit: str
    fit: str
    resize: str
