"""The MLflow model registry: fast reads, writes through MLflow's client, and the log of promotions."""
