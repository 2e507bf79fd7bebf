"""The stages of the pipeline, each an ordinary function from directories to a directory.

Nothing here knows a store, a cache, a schedule or Airflow: `pipeline` decides what runs, these functions do it.
"""
