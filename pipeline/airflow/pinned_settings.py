"""The settings of a DAG run: pinned by its first task, taken by the tasks after it, their retries and their clears.

    XCom "settings" of ingest       every setting of the run, by its full name
    run.json                        the same, where Airflow has cleaned its XComs

Read again by each task are the bounds that checks apply (pipeline/config.py, `is_bound`): a lowered gate holds for a
task that is cleared. So are the few settings that XCom cannot hold as they are: a password, a name that is no UTF-8.
"""

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk import Context

from components.ingest import select
from components.public_text import HIDDEN, public
from pipeline import config
from pipeline.airflow.params_form import NOT_OF_A_RUN, read_settings
from pipeline.airflow.run_names import record_of
from pipeline.graph import ancestors
from pipeline.store.recipe import OF_MACHINE

KEY = "settings"
BY_MACHINE = [f"train.{name}" for name in OF_MACHINE]  # decided where the training runs, not where the run begins
log = logging.getLogger(__name__)

Values = Mapping[str, Any]  # of settings, by name


def pin(context: Context, used: Values, form: Iterable[str]) -> None:
    """Keep the settings that the first task has *used*, what the machine decides as it was written."""
    written = {**read_settings()[0], **dict(config.layers("", form, {}))}
    of_machine = {name: written[name] for name in BY_MACHINE}
    context["ti"].xcom_push(KEY, _pinnable({**used, **of_machine}))


def of_run(context: Context, stage: str) -> list[str]:
    """The settings that the run has by now, as `--set` takes them, for its task *stage*; [] for the first."""
    if "ingest" not in ancestors(stage):
        return []
    pull = context["ti"].xcom_pull
    pins = dict(pull(task_ids="ingest", key=KEY) or _recorded(context))
    ingested, trained = pull(task_ids="ingest"), pull(task_ids="train") if "train" in ancestors(stage) else None
    if ingested and select.is_name(ingested["source"]):
        pins["ingest.source"] = ingested["source"]
    pins |= trained.get("settled", {}) if trained else {}
    with_bounds = bool(pins) and _leave_out_damaged_file()
    return [f"{n}={value}" for n, value in _pinnable(pins).items() if with_bounds or not config.is_bound(n)]


def _pinnable(values: Values) -> dict[str, Any]:
    """Those of *values* that belong to a run, and come out of XCom and `--set` as they went in."""
    return {name: value for name, value in values.items() if _is_of_run(name) and _survives(name, value)}


def _is_of_run(name: str) -> bool:
    return name in config.SETTINGS and name.partition(".")[0] not in NOT_OF_A_RUN


def _survives(name: str, value: object) -> bool:
    return public(value) == value and config.parse(name, str(value).strip()) == value and HIDDEN not in str(value)


def _recorded(context: Context) -> Values:
    """The settings in the run's record, but those whose bytes were escaped to make them printable."""
    record = record_of(context["ti"])
    if not record:
        return {}
    left_out = () if record.done("train") else BY_MACHINE
    return {name: v for name, v in record.settings.items() if name not in left_out and "\\" not in str(v)}


def _leave_out_damaged_file() -> bool:
    """Have this process ignore a settings file that is wrong, as while it is edited: the run goes on with what it has.

    Returns whether it does: the bounds are then those with which the run began, for a gate must not open by itself.
    """
    problems = read_settings()[1]
    if problems:
        log.warning(
            "this run goes on with the settings with which it began, as the settings file is wrong: %s", problems
        )
        os.environ["PIPELINE_CONFIG"] = os.devnull
    return bool(problems)
