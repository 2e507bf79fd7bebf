"""The DAGs' pages in Airflow's UI, for the operator on call."""

import re

SPECIAL = re.compile(r"([\\`*_\[\]<>|#])")  # characters that mean something in Markdown

RETRAIN = """\
Eight tasks in a line: the stages that `make pipeline` runs too, on the same artifacts, so each reuses what the other
made. A task with nothing to do is green within seconds. A run begins on the schedule (`schedule.cron`), seconds
after new images have been copied to the source, or by *Trigger*.

* **Run it with other settings:** *Trigger*; an empty field keeps the value of the settings file (`PIPELINE_CONFIG`).
* **A task that is red after one try** failed permanently, so it was not retried: its log ends with the reason and by
  how much the bound was missed, and what to click. The tasks before it are not run again by *Clear*.
* **Settings stay those with which the run began**, in retries and clears. Only the bounds of `validate`, `gate` and
  `promote` are read again: lower one in the settings file, then *Clear* the task. For other settings *Trigger* a run,
  or *Clear* `ingest` with *downstream*, which reads the file again.
* **A task that was retried** lost the network, the disk or MLflow, or was killed.
* **Clearing** a task or a whole run is harmless: equal data and settings give the same artifacts and no second version.
* **A person decides** at `approve`, where `promote.approval` wants it: under *Required Actions*, above.
* **Roll back:** *Trigger* `rollback`. **Pause:** the switch at the top.
* **Links** of each task: the run's report, its MLflow run, the model's version.
"""
WATCH = """\
Looks for new images in the source of the settings file. If they differ from those of the last event, it emits an event
of their asset, which starts a run of `retrain`; otherwise the task is skipped. Files that are still being copied are
left for the next look.
"""
HOUSEKEEPING = """\
Deletes what neither the champion, the challenger, a version that waits for a decision, a champion that can be
restored, a live run nor the last runs (`schedule.keep_runs`) need, and what is older than `schedule.keep_days`:
records, reports and logs of runs, caches, runs that were deleted in MLflow, Airflow's own metadata. The log says what
was freed, and for how many weeks the disk lasts. The pipeline's command `gc` does the same.
"""
REPRODUCE = """\
Makes the champion again from its commit, packages, settings and images, in a temporary folder, and compares: the same
bytes on the same kind of machine, a model that answers alike on another. Nothing else changes.

* **It fails** where the images, the commit or the packages are gone, and where the model is another one: the log names
  what differs. The XCom of its task has each stage.
* **When** it runs is `schedule.reproduce`; without it there is no such DAG. *Trigger* runs it now.
"""
ROLLBACK = """\
Restore a former champion: the one before the present one, or the version that the form names.

The version that loses the alias is never promoted again by a run. Deployments that follow the champion's asset get its
event. *Trigger* asks for:

* **model:** needed where there are several
* **version:** one of the former champions below, the present one first; empty: the one before
* **reason:** for the promotion log, beside your name
"""
PROMOTE_VERSION = """\
Make a version champion manually, whatever the gates say.

For a version on hold, one that the pipeline refused, or one that was rolled back. *Trigger* asks for the version, as
MLflow numbers it, and the reason, which go into the promotion log beside your name.
"""


def plain(text: str) -> str:
    """*text* for a cell or an item of Markdown, which shows it as it is."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def page(text: str, problem: str) -> str:
    """The page of a DAG: what is wrong with the settings comes first."""
    if not problem:
        return text
    listed = "\n".join(f"> * {line}" for line in problem.splitlines())
    return f"> **The settings are wrong, so every run fails at its first task:**\n{listed}\n\n{text}"
