"""A search in words: a line for each trial that ends, and a table of the best trials."""

from components.formatting import duration, percent
from pipeline.tuning.plan import Choices, Range, Tune
from pipeline.tuning.study import Study, Trial

MAX_ROWS = 10

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]  # head and rows


def figure(value: float | None, objective: str) -> str:
    """The value of a trial: "98.61 %" of an accuracy, "0.0512" of a loss."""
    if value is None:
        return ""
    return percent(value) if objective == "accuracy" else f"{value:.4f}"


def line(ended: Trial, best: Trial | None, tune: Tune, seconds_left: float) -> str:
    """ "trial 3/20  98.61 %  in 12.1 s    best 99.31 % (trial 1), about 4 min 05 s left" """
    value = figure(ended.value, tune.objective) if ended.state == "completed" else _unfinished(ended)
    so_far = f"best {figure(best.value, tune.objective)} (trial {best.number})" if best else "none completed yet"
    left = f", about {duration(seconds_left)} left" if seconds_left else ""
    return f"trial {ended.number}/{tune.trials}  {value}  in {duration(ended.seconds)}    {so_far}{left}"


def _unfinished(ended: Trial) -> str:
    if ended.state == "failed":
        return f"failed: {ended.reason}"
    return f"pruned after {ended.epochs} epoch{'' if ended.epochs == 1 else 's'} ({ended.reason})"


def table(study: Study, objective: str) -> Table:
    """The best trials, the best first."""
    names = list(study.space)
    head = ("trial", f"validation {objective}", "best epoch", *names)
    return head, [_row(trial, names, objective) for trial in study.ranking[:MAX_ROWS]]


def _row(trial: Trial, names: list[str], objective: str) -> tuple[str, ...]:
    best_epoch = f"{trial.summary['best_epoch']} of {trial.summary['epochs']}"
    return (
        str(trial.number),
        figure(trial.value, objective),
        best_epoch,
        *(plain(trial.chosen[name]) for name in names),
    )


def words(span: Range | Choices) -> str:
    """What is searched: "0.0001 to 0.1, logarithmic" or "cnn, dense"."""
    if isinstance(span, Choices):
        return ", ".join(map(plain, span.values))
    return f"{plain(span.low)} to {plain(span.high)}{', logarithmic' if span.log else ''}"


def plain(value: object) -> str:
    """The value of a searched setting, floats in four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value) or '""'
