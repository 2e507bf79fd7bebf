"""The DAGs' pages in Airflow's UI, for the operator on call."""

RETRAIN = """\
Eight tasks in a line: the stages that `make pipeline` runs too, on the same artifacts, so each reuses what the other
made. A task with nothing to do is green within seconds. A run begins on the schedule (`schedule.cron`), as soon as
`watch_data` reports new images, or by *Trigger*.

* **Run it with other settings:** *Trigger*; an empty field keeps the value of the settings file (`PIPELINE_CONFIG`).
* **A task that is red after one try** failed permanently, so it was not retried: its log ends with the reason and by
  how much the bound was missed, and what to click. The tasks before it are not run again by *Clear*.
* **Settings stay those with which the run began**, in retries and clears. Only the bounds of `validate`, `gate` and
  `promote` are read again: lower one in the settings file, then *Clear* the task. For other settings *Trigger* a run,
  or *Clear* `ingest` with *downstream*, which reads the file again.
* **A task that was retried** lost the network, the disk or MLflow, or was killed.
* **Clearing** a task or a whole run is harmless: equal data and settings give the same artifacts and no second version.
* **Roll back:** the pipeline's command `rollback` (docs/registry.md). **Pause:** the switch at the top.
* **Links** of each task: the run's report, its MLflow run, the model's version.
"""
WATCH = """\
Looks for new images in the source of the settings file. If they differ from those of the last event, it emits an event
of their asset, which starts a run of `retrain`; otherwise the task is skipped. Files that are still being copied are
left for the next look.
"""


def page(text: str, problem: str) -> str:
    """The page of a DAG: what is wrong with the settings comes first."""
    if not problem:
        return text
    listed = "\n".join(f"> * {line}" for line in problem.splitlines())
    return f"> **The settings are wrong, so every run fails at its first task:**\n{listed}\n\n{text}"
