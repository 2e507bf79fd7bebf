"""Validate: statistics, an inferred schema, anomalies and figures of the ingested images."""
