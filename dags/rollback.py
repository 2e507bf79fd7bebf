"""Restore a former champion, by a form in Airflow's UI."""

from pipeline.airflow import registry_dags

dag = registry_dags.rollback()
