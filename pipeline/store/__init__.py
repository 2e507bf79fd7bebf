"""Artifacts: the recipe and key that name them, the local store, and the store in a bucket."""
