"""The settings of a run: read from every layer, the source "auto" settled, other machines of the training checked."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from components.errors import Failure
from components.ingest import select
from components.progress import say
from components.settings import derived
from components.settings.sections import Ingest, Params
from components.train.distributed.cluster import cluster
from pipeline import config, corrections
from pipeline.home import Home
from pipeline.store.recipe import key, recipe_of


def load(overrides: Iterable[str] = (), source: str = "", file: str = "") -> Params:
    """The settings of a run in this environment; $PIPELINE_CONFIG replaces an empty *file*.

    Prints a notice where "auto" falls back to another data set. Raises ConfigError with every problem, SourceError.
    """
    values = config.read(config.settings_file(file), overrides, source)
    ingest, notice = config.ingest_section(values), ""
    if ingest.source == config.AUTO:
        ingest, notice = _settled(ingest)
    params = config.settle({**values, "ingest.source": ingest.source})
    if notice:
        say(notice)
    cluster(params.train.workers)  # reports a wrong TF_CONFIG before anything runs
    return params


def previewed(params: Params) -> tuple[Params, str]:
    """*params* with what a look at the images decides about the training, and how it trains; "" where none is possible.

    The look is at names and headers, so the number of training images, and what follows from it, is an estimate.
    """
    preview = None
    with suppress(Failure):  # reported where a run begins
        preview = select.preview(params.ingest, Home.from_environment().cache)
    if preview is None:
        return params, ""
    held_out = 0.0 if preview.validation else params.normalize.validation_share
    images = round(preview.train * (1 - held_out))
    train = derived.training(params.train, derived.TrainingImages(images, preview.shape[-1], None))
    return replace(params, train=train), f"about {derived.plan(train, images, preview.shape)}"


def _settled(ingest: Ingest) -> tuple[Ingest, str]:
    """*ingest* with mnist or digits for its source, and the notice to print; ingested MNIST is not looked for again."""
    mnist = replace(ingest, source="mnist")
    return (mnist, "") if _is_ingested(mnist) else select.choose(ingest)


def _is_ingested(ingest: Ingest) -> bool:
    home = Home.from_environment()
    fingerprint = select.fingerprint(ingest, home.cache)
    corrected = corrections.inputs(corrections.read(ingest, home).digest)
    recipe = recipe_of("ingest", Params(ingest=ingest), corrected, fingerprint, cache=home.cache)
    return home.store.get("ingest", key(recipe), files=False) is not None
