"""The report's section on the images themselves: what ingest and validate found, by file and with pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.data import problems
from components.data.problems import Problem
from pipeline.report.files import Picture, picture

MOST_LISTED = 100  # rows of a table; problems.csv has all
TITLES = {
    problems.UNREADABLE: ("Unreadable", "They were left out."),
    problems.BLANK: ("Blank", "They show one colour, and stay in the data."),
    problems.FAINT: ("Nearly blank", "They show next to nothing, and stay in the data."),
    problems.DUPLICATE: (
        "Duplicates",
        "Training images that are in the test split are left out of training; of the others, all copies are in "
        "training or all in validation.",
    ),
    problems.CONFLICT: ("One image under two labels", "All of them stay in the data: one of the labels is wrong."),
    problems.NEAR_DUPLICATE: (
        "Near duplicates",
        "Images of 64 pixels and more that are nearly equal. They stay where they are: in training and in test, they "
        "make the accuracy look better than it is.",
    ),
}


@dataclass(frozen=True)
class ProblemGroup:
    """Images with one problem, the first of them listed and drawn."""

    title: str
    meaning: str
    count: int
    rows: list[Problem]
    sheet: Picture | None


def problem_groups(artifacts: Mapping[str, Path], pictures: Mapping[str, Path]) -> list[ProblemGroup]:
    """What ingest and validate found, in the order of TITLES."""
    stages = (stage for stage in ("ingest", "validate") if stage in artifacts)
    listed = [problem for stage in stages for problem in problems.read(artifacts[stage])]
    groups = []
    for kind, (title, meaning) in TITLES.items():
        if rows := [problem for problem in listed if problem.problem == kind]:
            sheet = pictures.get("validate", Path("none")) / f"problem-{kind}.png"
            drawn = picture(sheet, f"The first images of the table {title}", dense=False)
            groups.append(ProblemGroup(title, meaning, len(rows), rows[:MOST_LISTED], drawn))
    return groups
