"""Normalize: hold out a validation split, drop duplicates and fit the scaling."""
