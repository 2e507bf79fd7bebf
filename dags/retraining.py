"""The DAGs of the settings file that PIPELINE_CONFIG names: retrain, watch_data, ..."""

from pipeline.airflow import retraining

retraining()
