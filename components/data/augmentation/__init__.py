"""Augmentation: random transforms of training images."""
