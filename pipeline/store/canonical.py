"""Canonical JSON, and its sha256: the basis of every key and digest."""

import hashlib
import json


def canonical(value: object) -> str:
    """JSON with one spelling per value: sorted keys, no white space, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
