"""How often the rule of promotion errs, by the number of test images: simulated, as a table and a picture.

    python -m benchmarks.promotion             # prints the table of docs/registry.md
    python -m benchmarks.promotion --picture   # and draws docs/images/promotion.png

Champion and challenger disagree on DISAGREE of the images where they are equally good, as two trainings of one network
do at an accuracy of about 97 %; a challenger that is worse loses more images. The rule is that of the default settings.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from components.metrics import mcnemar
from components.promote.noninferiority import Outcome, Paired, judge
from components.settings.sections import Gate

IMAGES = (100, 200, 500, 1000, 2000, 5000, 10_000)
LOSSES = (0.0, 0.001, 0.005, 0.01, 0.02, 0.05)  # of accuracy
DISAGREE = 0.02
DRAWS = 20_000
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "promotion.png"


class Rates(NamedTuple):
    """Shares of the draws: the challenger was promoted, the champion kept as the images could not tell, or rejected."""

    promoted: float
    kept: float
    rejected: float


@cache
def rates(n: int, loss: float, draws: int = DRAWS, disagree: float = DISAGREE) -> Rates:
    """How a challenger whose accuracy is lower by *loss* fares on *n* test images."""
    lost = disagree / 2 + loss
    shares = [disagree / 2, lost, 1 - disagree / 2 - lost]
    gate, outcomes = Gate(), Counter[Outcome]()
    drawn = np.random.default_rng([n, round(loss * 10_000)]).multinomial(n, shares, draws)
    pairs, counts = np.unique(drawn[:, :2], axis=0, return_counts=True)
    for (gained, lost_images), count in zip(pairs.tolist(), counts.tolist(), strict=True):
        p = mcnemar(gained, lost_images)
        outcomes[judge(Paired(n, gained, lost_images), p, gate.max_regression, gate.confidence)] += count
    return Rates(*(outcomes[outcome] / draws for outcome in ("not worse", "undecided", "worse")))


def table() -> str:
    """promoted / kept / rejected, in percent, for each number of test images and each loss of accuracy."""
    head = f"| test split | {' | '.join(map(_name, LOSSES))} |\n|--:{'|--:' * len(LOSSES)}|"
    return "\n".join([head, *_rows()])


def _name(loss: float) -> str:
    return f"{100 * loss:g} {'point' if loss == 0.01 else 'points'} worse" if loss else "equally good"


def _rows() -> Iterator[str]:
    for n in IMAGES:
        cells = [" / ".join(f"{100 * share:.0f}" for share in rates(n, loss)) for loss in LOSSES]
        yield f"| {n:,} images | {' | '.join(cells)} |"


def draw(path: Path) -> None:
    """A panel for promotion and one for rejection: a line for each loss, by the number of test images."""
    from components.plotting import BLUE, INK, ORANGE, canvas

    styles = ((BLUE, "-"), (BLUE, "--"), (INK, "-"), (INK, "--"), (ORANGE, "-"), (ORANGE, "--"))
    with canvas(path, 9.5, 3.1) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, title, outcome in zip(panels, ("promoted", "rejected"), ("promoted", "rejected"), strict=True):
            for loss, (colour, line) in zip(LOSSES, styles, strict=True):
                shares = [100 * getattr(rates(n, loss), outcome) for n in IMAGES]
                axes.plot(IMAGES, shares, line, color=colour, label=_name(loss))
            axes.set(title=f"Challengers {title}, %", xscale="log", xlabel="test images", ylim=(-2, 102))
            axes.set_xticks(IMAGES, [f"{n:,}" for n in IMAGES], rotation=45)
            axes.minorticks_off()
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", action="store_true", help="draw the picture, too")
    if parser.parse_args().picture:
        draw(PICTURE)
    print(table())


if __name__ == "__main__":
    main()
