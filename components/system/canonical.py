"""Canonical JSON and its sha256, the basis of every key and digest; documents that carry their own checksum."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

CHECKSUM = "checksum"


def canonical(value: object) -> str:
    """JSON with one spelling per value: sorted keys, no white space, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def with_checksum(document: Mapping[str, Any]) -> dict[str, Any]:
    """*document*, as JSON reads it back, with the sha256 of its canonical JSON under `checksum`."""
    content: dict[str, Any] = json.loads(canonical(document))
    return {**content, CHECKSUM: sha256(canonical(content))}


def checked(text: str | bytes) -> dict[str, Any]:
    """The JSON object in *text* without its checksum; raises ValueError where it is not what was written.

    A document without a checksum, as earlier versions wrote it, is taken as it is.
    """
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    checksum = content.pop(CHECKSUM, None)
    if checksum is not None and checksum != sha256(canonical(content)):
        raise ValueError("its checksum does not match")
    return content
