"""Promote: move the alias `champion` to the new version unless it is worse."""
