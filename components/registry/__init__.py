"""The MLflow model registry: fast reads, writes through MLflow's client, and the promotion log."""
