"""What the DAGs make, as Airflow assets: the images of a source and the champion of a registered model.

Each event tells what it is about: the digest of the images; the version, digest and accuracy of the champion.
"""

from typing import Any

from airflow.sdk import Asset, AssetAlias, Context

from pipeline.airflow.task import StageTask

# Which model a run makes is known when it runs (the form may name another source), so the task declares an alias.
CHAMPIONS = AssetAlias("champions", group="model")


# The images of the source that the settings file names, whichever it is.
IMAGES = Asset("images of the source", uri="images://source", group="images")


def champion(name: str) -> Asset:
    return Asset(f"champion of {name}", uri=f"models://{name}/champion", group="model")


class Promote(StageTask):
    """The task `promote`, which tells of a new champion by an event of its asset."""

    def execute(self, context: Context) -> dict[str, Any]:
        done = super().execute(context)
        if done["made"]:
            context["outlet_events"][CHAMPIONS].add(champion(done["model"]["name"]), extra=_told(done))
        return done


def _told(done: dict[str, Any]) -> dict[str, Any]:
    return {"version": done["model"]["version"], "digest": done["digest"], "accuracy": done["accuracy"]}
