"""Ingest: a source's images as uint8 splits."""
