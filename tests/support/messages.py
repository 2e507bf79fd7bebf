"""Every text in the source that may be printed or logged, read from the syntax tree without running it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

# what no task runs: the command line, containers, predictions, searches, reports, and what starts Airflow; and the
# words themselves
ELSEWHERE = {"cli", "compose", "prediction", "tuning", "report", "standalone"}
ELSEWHERE |= {"__main__.py", "mlflow_ui.py", "commands.py"}
THE_WORDS = {"advice.py", "printed_commands.py", "external_python.py"}


def texts(placeholder: str) -> Iterator[tuple[str, str]]:
    """(file:line, text) of the texts in the modules that tasks run, with *placeholder* for what is computed."""
    for folder in ("components", "pipeline"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            if not (ELSEWHERE | THE_WORDS).intersection(file.relative_to(ROOT).parts):
                yield from _texts(file, placeholder)


def _texts(file: Path, placeholder: str) -> Iterator[tuple[str, str]]:
    tree = ast.parse(file.read_text())
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    skipped |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) not in skipped and (text := _text(node, placeholder)):
            yield f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", text


def _text(node: ast.AST, placeholder: str) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values):
            return "".join(p.value if isinstance(p, ast.Constant) else placeholder for p in values)  # type: ignore[misc]
    return ""
