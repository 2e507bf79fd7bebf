"""Validate: statistics, an inferred schema, anomalies and pictures of the ingested images."""
