"""Two grades, never mixed: exact, the same bytes; and equivalent, the same data and a model that answers alike."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from components.errors import ConfigError, DataRejected, ModelRejected
from components.formatting import percent, thousands
from components.promote.comparison import Comparison, compare
from components.promote.predictions import of_champion, of_evaluation
from components.proportions import upper_bound
from pipeline.reproduce import machine
from pipeline.reproduce.recorded import Recorded, Stage
from pipeline.reproduce.seeds import accuracies
from pipeline.store.artifact import Artifact
from pipeline.store.recipe import differences

if TYPE_CHECKING:
    from components.registry.client import Registry

Grade = Literal["exact", "equivalent", "none"]

PERMANENT = (ConfigError.exit_code, DataRejected.exit_code, ModelRejected.exit_code)  # of a run: another ends so, too
DATA = ("ingest", "normalize")  # whole numbers, the same on every machine
SIGNIFICANT = 0.01  # the probability below which chance does not explain how two models differ
FEWEST_SEEDS = 5  # versions whose accuracies make a range
DECIMALS = 6  # of an accuracy in the tags of a version
MODEL = "model.keras"


@dataclass(frozen=True)
class Compared:
    """A stage then and here: whether its files are the same, and why they are not: what differs that it depends on."""

    equal: bool
    why: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Alike:
    """Two models on the same test images: *same* are those for which both answer the same class.

    *seeds* are the accuracies of the versions that differ in the seed alone, the original among them.
    """

    comparison: Comparison
    same: int
    seeds: tuple[float, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether they are equivalent.

        Chance explains the difference of their accuracies, or the seed does. And the two do not agree with each other
        less often than the original with the labels, by more than chance: they make the same mistakes.
        """
        n, accuracy = self.comparison.n, self.comparison.champion_correct / self.comparison.n
        is_close = self.comparison.p >= SIGNIFICANT or self._is_within_seeds()
        return is_close and upper_bound(self.same, n, 1 - SIGNIFICANT) >= accuracy

    def _is_within_seeds(self) -> bool:
        """Whether versions that differ in the seed alone, where there are enough, are both better and worse."""
        accuracy = round(self.comparison.challenger_correct / self.comparison.n, DECIMALS)
        return len(self.seeds) >= FEWEST_SEEDS and min(self.seeds) <= accuracy <= max(self.seeds)

    def __str__(self) -> str:
        counts, n = self.comparison, self.comparison.n
        return (
            f"{percent(self.same / n)} of {thousands(n)} test images have the same class; accuracy "
            f"{percent(counts.challenger_correct / n)} here, {percent(counts.champion_correct / n)} then "
            f"(McNemar's p {counts.p:.3g})"
        )

    @property
    def spread(self) -> str:
        """The range of the seeds in words, "" where they are too few for one."""
        if len(self.seeds) < FEWEST_SEEDS:
            return ""
        between = f"{percent(min(self.seeds))} to {percent(max(self.seeds))}"
        return f"{len(self.seeds)} versions that differ in the seed alone have {between}"


@dataclass(frozen=True)
class Result:
    """*stages* are those that were reached, *machines* what differs between the two.

    *error* is what ended the run, *status* its exit status.
    """

    number: str
    stages: Mapping[str, Compared]
    machines: list[str]
    alike: Alike | None = None
    error: str = ""
    status: int = 0

    def _equal(self, *stages: str) -> bool:
        return all(stage in self.stages and self.stages[stage].equal for stage in stages)

    @property
    def grade(self) -> Grade:
        is_same = self._equal(*DATA, "train")
        if not self.machines:
            return "exact" if is_same else "none"
        is_alike = self._equal(*DATA) and self.alike is not None and self.alike.holds
        return "equivalent" if is_same or is_alike else "none"

    @property
    def exit_status(self) -> int:
        """0 reproduced, 3 other data, 4 another model; where train was not reached, that of the run."""
        if self.grade != "none":
            return 0
        if any(stage in self.stages and not self.stages[stage].equal for stage in DATA):
            return 3
        if "train" in self.stages:
            return 4
        return self.status if self.status in PERMANENT else 1

    def __str__(self) -> str:
        """ "ingest equal, normalize equal, train equal: bit for bit the model of version 3" """
        shown = [f"{stage} {'equal' if compared.equal else 'differs'}" for stage, compared in self.stages.items()]
        return f"{', '.join(shown) or 'nothing was made'}: {self._conclusion()}"

    def _conclusion(self) -> str:
        if self._equal(*DATA, "train"):
            although = f", although {'; '.join(self.machines)}" if self.machines else ""
            return f"bit for bit the model of version {self.number}{although}"
        first = next((compared for compared in self.stages.values() if not compared.equal), None)
        reasons = [*(first.why if first else []), *(self.machines if self._equal(*DATA) else [])]
        if first is None or (self.error and "train" not in self.stages):
            return f"the run ended before train: {self.error}"
        return "; ".join(dict.fromkeys(reasons)) or "although code, settings, packages and machine are the same"


def compared(recorded: Recorded, made: Mapping[str, Artifact]) -> dict[str, Compared]:
    """Each stage that was *made* again, beside the artifact of the version."""
    return {
        stage: Compared(then.digest == made[stage].digest, list(_reasons(then, made[stage])))
        for stage, then in recorded.stages.items()
        if stage in made
    }


def _reasons(then: Stage, here: Artifact) -> Iterator[str]:
    if then.digest != here.digest:
        followed = {f"input {stage} changed" for stage in ("ingest", "normalize", "train")}
        # threads are part of the machine here, and are named as that
        own = (text for text in differences(then.recipe, here.recipe) if not text.startswith("train.threads "))
        yield from (text for text in own if text not in followed)


def machines(recorded: Recorded, train: Artifact) -> list[str]:
    """What differs between the machine that trained the version and the one that trained it again."""
    then = recorded.stages["train"]
    here = machine.computing(train.recipe), train.made.get("environment", {})
    return machine.differences((machine.computing(then.recipe), then.environment), here)


def alike(recorded: Recorded, registry: "Registry", made: Mapping[str, Artifact], evaluate: Path | None) -> Alike:
    """The model that was *made* again beside the original, whose evaluation is in *evaluate* unless that is gone."""
    from components.data.splits import Split

    test = made["normalize"].path / "test"
    here, then = of_evaluation(made["evaluate"].path), of_champion(registry, recorded.version, test, evaluate)
    same = here.numbered_as(here.classes) == then.numbered_as(here.classes)
    seeds = accuracies(recorded, registry)
    return Alike(compare(here, then, Split(test).labels), int(same.sum()), tuple(seeds))
