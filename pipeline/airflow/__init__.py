"""Airflow: the same stages as tasks. Imported by DAG files and by `make airflow`; nothing else needs it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.airflow.factory import retraining as retraining


def __getattr__(name: str) -> object:
    """`from pipeline.airflow import retraining`, without Airflow for those who import a module of this package."""
    if name == "retraining":
        from pipeline.airflow.factory import retraining

        return retraining
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
