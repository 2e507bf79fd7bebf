"""The form in Airflow's UI, made from the settings' declarations, and the way back: the fields that a user filled in.

An empty field leaves the setting to the settings file and the defaults of the source, as on the command line. A field
that is filled in goes through `--set`, so both are checked by the same code.
"""

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

from airflow.sdk import Param

from components.ingest import select
from components.public_text import public
from components.settings.sections import MODELS, Schedule
from components.settings.source_defaults import SOURCE_DEFAULTS
from pipeline import config
from pipeline.graph import STAGES

FIRST = ("ingest.source", "train.model", "train.epochs", "train.seed", "gate.min_accuracy")
NOT_OF_A_RUN = ("schedule", "serve")
FORCE = "force"  # the field that is no setting
CUSTOM = r"[^\W\d][\w.]*:[^\W\d]\w*"  # a network of the user's own, package.module:function
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}

Values = Mapping[str, Any]  # of settings, by name


def read_settings(file: str = "") -> tuple[Values, str]:
    """The settings that the DAGs are built with, and what is wrong with those that were written ("" for nothing).

    $PIPELINE_CONFIG replaces an empty *file*.

    A DAG that cannot be imported would silently stop retraining: built without the wrong settings it runs, and fails at
    its first task with the list of all problems. Neither the network nor the source's folder is accessed.
    """
    written, problems = config.written(config.settings_file(file))
    return {**{name: spec.default for name, spec in config.SETTINGS.items()}, **written}, "\n".join(problems)


def schedule(values: Values) -> Schedule:
    """The section [schedule] of *values*."""
    return Schedule(**{f.name: values[f"schedule.{f.name}"] for f in fields(Schedule)})


def form(values: Values) -> dict[str, Param]:
    """One field per setting, the most used ones first; an empty field stands for the setting's value in *values*."""
    names = [name for name in config.SETTINGS if name.partition(".")[0] not in NOT_OF_A_RUN and name not in FIRST]
    return {name: _field(name, config.SETTINGS[name], values[name]) for name in (*FIRST, *names)} | {FORCE: _force()}


def _field(name: str, spec: "Field[Any]", value: object) -> Param:
    limits = {"minimum": spec.metadata["minimum"], "maximum": spec.metadata["maximum"]}
    schema = {key: limit for key, limit in limits.items() if limit is not None}
    if choices := (True, False) if isinstance(spec.default, bool) else spec.metadata["choices"]:
        schema |= {"enum": [*choices, None], "values_display": {"null": "(empty)"}}
    schema |= _suggestions(name)
    return Param(
        None,
        type=["null", TYPES[type(spec.default)]],
        title=name,
        description=public(f"{spec.metadata['help']} {_hint(name, spec, value)}".rstrip()),
        section=None if name in FIRST else name.partition(".")[0],
        **schema,
    )


def _suggestions(name: str) -> dict[str, object]:
    """The names that the setting *name* may have, where there are more than these."""
    if name == "ingest.source":
        return {"examples": [config.AUTO, *select.names()]}
    if name == "train.model":
        return {"examples": list(MODELS), "pattern": f"^({'|'.join(MODELS)}|{CUSTOM})$"}
    return {}


def _force() -> Param:
    stages = [name for name, stage in STAGES.items() if not stage.effect]
    return Param(
        None,
        type=["null", "string"],
        title=FORCE,
        description="the stage that runs again although its result exists (empty: none)",
        section="stages",
        enum=[*stages, None],
        values_display={"null": "(empty)"},
    )


def _hint(name: str, spec: "Field[Any]", value: object) -> str:
    """What an empty field stands for."""
    if value != spec.default:
        return f"(empty: {value}, as in the settings file)"
    by_source = [f"{defaults[name]} for {source}" for source, defaults in SOURCE_DEFAULTS.items() if name in defaults]
    meanings = "; ".join([str(value)] * (value != "") + by_source)
    return f"(empty: {meanings})" if meanings else ""


def overrides(form_values: Values) -> list[str]:
    """The fields that a user filled in, as `--set` takes them."""
    return [f"{name}={value}" for name, value in form_values.items() if value is not None and name != FORCE]
