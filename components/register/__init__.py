"""Register: one version in the model registry per model."""
