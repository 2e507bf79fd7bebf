"""The form in Airflow's UI, made from the settings' declarations, and the way back: what a person filled in.

A field left empty says nothing: the settings file and what is recommended for the source then decide, as they do on the
command line. What is filled in goes through `--set`, so both are judged by the same code.
"""

import os
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

from airflow.sdk import Param

from components.settings.sections import Schedule
from components.settings.source_defaults import SOURCE_DEFAULTS
from pipeline import config

FIRST = ("ingest.source", "train.model", "train.epochs", "train.seed", "gate.min_accuracy")
NOT_OF_A_RUN = ("schedule",)
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def settings_file() -> str:
    return os.environ.get("PIPELINE_CONFIG", "")


def usual() -> tuple[dict[str, Any], str]:
    """Every setting that the DAGs are drawn with, and what is wrong with those that were written ("" for nothing).

    A DAG that cannot be read would silently stop retraining: drawn without what is wrong it runs, and fails at its
    first task with the list of all problems. Neither the network nor the source's folder is looked at.
    """
    written, problems = config.written(settings_file())
    return {**{name: spec.default for name, spec in config.SETTINGS.items()}, **written}, "\n".join(problems)


def schedule(values: Mapping[str, Any]) -> Schedule:
    """The section [schedule] of *values*."""
    return Schedule(**{f.name: values[f"schedule.{f.name}"] for f in fields(Schedule)})


def form(values: Mapping[str, Any]) -> dict[str, Param]:
    """One field per setting, those that people change first; *values* is what an empty field stands for."""
    names = [name for name in config.SETTINGS if name.partition(".")[0] not in NOT_OF_A_RUN and name not in FIRST]
    return {name: _field(name, config.SETTINGS[name], values[name]) for name in (*FIRST, *names)}


def _field(name: str, spec: "Field[Any]", value: Any) -> Param:
    limits = {"minimum": spec.metadata["minimum"], "maximum": spec.metadata["maximum"]}
    schema = {key: limit for key, limit in limits.items() if limit is not None}
    if choices := (True, False) if isinstance(spec.default, bool) else spec.metadata["choices"]:
        schema |= {"enum": [*choices, None], "values_display": {"null": "(empty)"}}
    return Param(
        None,
        type=["null", TYPES[type(spec.default)]],
        title=name,
        description=f"{spec.metadata['help']} {_hint(name, spec, value)}".rstrip(),
        section=None if name in FIRST else name.partition(".")[0],
        **schema,
    )


def _hint(name: str, spec: "Field[Any]", value: Any) -> str:
    """What an empty field stands for."""
    if value != spec.default:
        return f"(empty: {value}, as written in the settings file)"
    recipes = [f"{recipe[name]} for {source}" for source, recipe in SOURCE_DEFAULTS.items() if name in recipe]
    told = "; ".join([str(value)] * (value != "") + recipes)
    return f"(empty: {told})" if told else ""


def overrides(filled: Mapping[str, Any]) -> list[str]:
    """What a person filled in, as `--set` takes it."""
    return [f"{name}={value}" for name, value in filled.items() if value is not None]
