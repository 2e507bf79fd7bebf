"""docs/promises.md: every sentence of the README in its own words, each with a test that exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README, PAGE = (ROOT / "README.md").read_text(), (ROOT / "docs/promises.md").read_text()
ROW = re.compile(r"^\| (.+) \| (`tests/.+`) \|$", re.MULTILINE)
FENCE = re.compile(r"^```.*$", re.MULTILINE)
LINK = re.compile(r"!?\[([^]]*)\]\([^)]*\)")
MORE = re.compile(r"More: docs/[\w-]+\.md\.")
END = re.compile(r"(?<=[.:]) (?=[A-Z`])")  # of a sentence

# One row names the test of the whole section.
WHOLE = ("Documentation", "The tree")

# These promise nothing that a test could hold.
NO_PROMISE = (
    "It does what TFX does for one model, on one laptop:",
    "flowchart LR",
    "Two cores of an AMD EPYC.",
    "docs/benchmarks.md and docs/training.md say how, and what falls short.",
)


def plain(text: str) -> str:
    """What a reader sees: the texts of links, cells without their borders, one space between words."""
    return " ".join(re.sub(r"^\|[-|]+\|$", "", LINK.sub(r"\1", FENCE.sub("", text)), flags=re.MULTILINE).split())


def without_borders(text: str) -> str:
    return plain(text.replace(" |", " ").replace("| ", " "))


def sections(page: str) -> dict[str, str]:
    """Heading -> what stands below it, the title's among them."""
    parts = re.split(r"^##? (.+)\n", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def quotes(heading: str) -> list[str]:
    return [plain(quote) for quote, _ in ROW.findall(sections(PAGE)[heading])]


def sentences(text: str, quoted: list[str]) -> list[str]:
    """Of paragraphs, code (a line each) and tables (a cell each, but for the columns whose header is quoted)."""
    found: list[str] = []
    for block in re.split(r"\n{2,}", FENCE.sub("", text).strip()):
        if block.startswith("|"):
            header, _, *rows = (row.strip("| ").split(" | ") for row in block.splitlines())
            held = [column for column, name in enumerate(header) if name in quoted]
            found += [cell for row in rows for column, cell in enumerate(row) if column not in held]
        elif block.startswith("    ") or "-->" in block:
            found += block.splitlines()
        else:
            found += END.split(plain(block))
    return [plain(sentence).rstrip(" |") for sentence in found]


@cache
def collected(file: str) -> set[str]:
    """The test functions at the top level of *file*, as pytest collects them."""
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


HEADINGS = [*sections(README)]


def test_the_page_has_the_sections_of_the_readme() -> None:
    """In their order, each with a row; the title stands for what comes before the first heading."""
    assert [*sections(PAGE)][1:] == HEADINGS
    assert all(quotes(heading) for heading in HEADINGS)


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_promise_is_quoted_as_it_stands_in_the_readme(heading: str) -> None:
    """Word by word, in the order of the README: who rewords it looks at its test too."""
    text, place = without_borders(heading + "\n" + sections(README)[heading]), 0
    for quote in quotes(heading):
        assert quote in text[place:], f"not there, or before the one above: {quote}"
        place = text.index(quote, place)


@pytest.mark.parametrize("heading", [heading for heading in HEADINGS if heading not in WHOLE])
def test_every_sentence_of_the_readme_is_held_by_a_test(heading: str) -> None:
    """It is quoted, or a part of it is, or it promises nothing."""
    quoted = quotes(heading)
    for sentence in sentences(sections(README)[heading], quoted):
        held = any(quote in sentence or sentence in quote for quote in quoted)
        assert held or sentence in NO_PROMISE or MORE.fullmatch(sentence), sentence


def test_what_promises_nothing_stands_in_the_readme() -> None:
    """Nothing is left in the list that was reworded meanwhile."""
    assert all(sentence in plain(README) for sentence in NO_PROMISE)


def test_every_test_that_holds_a_promise_exists() -> None:
    """FILE::TEST, as pytest takes it and collects it."""
    named = re.findall(r"`([^`]+)::([^`]+)`", "".join(tests for _, tests in ROW.findall(PAGE)))
    assert len(named) > 100
    for file, test in named:
        assert Path(file).name.startswith("test_"), file
        assert test in collected(file), f"{file}::{test}"


def test_every_line_of_the_tables_is_read() -> None:
    """A row with another number of cells would be looked at by none of the tests above."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    assert len(rows) == len(ROW.findall(PAGE)) + len(HEADINGS)
