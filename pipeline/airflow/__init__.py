"""Airflow: the same stages as tasks. Imported by dags/ and by `make airflow`; nothing else of the pipeline needs it."""
