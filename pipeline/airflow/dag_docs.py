"""What the DAGs' pages in Airflow's UI say, for the person on call."""

RETRAIN = """\
Eight tasks in a line, the same stages that `make pipeline` runs, on the same artifacts: what one has made the other
takes. A task is green and quick where there was nothing to do.

* **Start it with other settings:** *Trigger*; a field left empty keeps what the settings file (`PIPELINE_CONFIG`) says.
* **A red task after one try** was refused: its log ends with the sentence that says by how much. A retry would say the
  same, so there was none. Mend the cause, then *Clear* the task: those before it are not done again.
* **A task that was retried** had the network, the disk or MLflow fail, or was killed.
* **Clearing** a task or a whole run is harmless: equal data and settings give the same artifacts and no second version.
* **Roll back:** `python -m pipeline rollback`. **Pause:** the switch at the top.
* **Links** of each task: the run's report, its MLflow run, the model's version.
"""
ON_NEW_DATA = """\
Retrains as soon as `watch_data` has seen new images in the source that the settings file names. The same eight tasks as
`retrain`, on the same artifacts.
"""
WATCH = """\
Looks at the source that the settings file names. Where its images differ from those of the last event, it says so by an
event of their asset, which starts `retrain_on_new_data`; otherwise the task is skipped. Files that are still being
copied are left for the next look.
"""


def page(text: str, problem: str) -> str:
    """The page of a DAG: what is wrong with the settings comes first."""
    if not problem:
        return text
    listed = "\n".join(f"> * {line}" for line in problem.splitlines())
    return f"> **The settings are wrong, so every run fails at its first task:**\n{listed}\n\n{text}"
