"""A search in words: a line per trial while it goes on, a table of the best at its end."""

from components.formatting import duration
from pipeline.tuning.plan import Choices, Range, Tune
from pipeline.tuning.study import Study, Trial

MOST_ROWS = 10


def figure(value: float | None, objective: str) -> str:
    """The value of a trial as a person writes it."""
    if value is None:
        return ""
    return f"{value:.2%}".replace("%", "\N{NO-BREAK SPACE}%") if objective == "accuracy" else f"{value:.4f}"


def line(ended: Trial, best: Trial | None, tune: Tune, seconds_left: float) -> str:
    """ "trial 3/20  98.61 %  in 12.1 s    best 99.31 % (trial 1), about 4 min 05 s left" """
    value = figure(ended.value, tune.objective) if ended.state == "completed" else _unfinished(ended)
    so_far = f"best {figure(best.value, tune.objective)} (trial {best.number})" if best else "none completed yet"
    left = f", about {duration(seconds_left)} left" if seconds_left else ""
    return f"trial {ended.number}/{tune.trials}  {value}  in {duration(ended.seconds)}    {so_far}{left}"


def _unfinished(ended: Trial) -> str:
    if ended.state == "failed":
        return f"failed: {ended.reason}"
    return f"given up after {ended.epochs} epoch{'' if ended.epochs == 1 else 's'} ({ended.reason})"


def table(study: Study, objective: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Head and rows: the best trials, the best first."""
    names = list(study.space)
    head = ("trial", f"validation {objective}", "best epoch", *names)
    rows = [
        (
            str(t.number),
            figure(t.value, objective),
            f"{t.summary['best_epoch']} of {t.summary['epochs']}",
            *(plain(t.chosen[name]) for name in names),
        )
        for t in study.ranking[:MOST_ROWS]
    ]
    return head, rows


def words(span: Range | Choices) -> str:
    """What is searched: "0.0001 to 0.1, logarithmic" or "cnn, dense"."""
    if isinstance(span, Choices):
        return ", ".join(map(plain, span.values))
    return f"{plain(span.low)} to {plain(span.high)}{', logarithmic' if span.log else ''}"


def plain(value: object) -> str:
    """A searched setting's value, no longer than it can be told apart by."""
    return f"{value:.4g}" if isinstance(value, float) else str(value) or '""'
