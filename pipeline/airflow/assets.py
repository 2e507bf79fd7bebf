"""The DAGs' outputs as Airflow assets: the images of a source and the champion of a registered model.

Their events carry the digest of the images; the version, digest and accuracy of the champion.
"""

from airflow.sdk import Asset, AssetAlias, Context

from pipeline.airflow.task import StageResult, StageTask

# The model's name is known at run time only (the form may name another source), so the task declares an alias.
CHAMPIONS = AssetAlias("champions", group="model")


# The images of the source in the settings file, whichever it is.
IMAGES = Asset("images of the source", uri="images://source", group="images")


def champion(name: str) -> Asset:
    return Asset(f"champion of {name}", uri=f"models://{name}/champion", group="model")


class Promote(StageTask):
    """The task `promote`, which reports a new champion by an event of its asset."""

    def execute(self, context: Context) -> StageResult:
        done = super().execute(context)
        if done["made"]:
            name, version = done["model"]["name"], done["model"]["version"]
            context["outlet_events"][CHAMPIONS].add(
                champion(name), extra={"version": version, "digest": done["digest"], "accuracy": done["accuracy"]}
            )
        return done
