"""Find and parse the source of a module without importing it."""

import ast
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from components.errors import ConfigError


def source_file(name: str) -> Path | None:
    """The file of the module *name* ("a.b"), None where there is none; unlike find_spec, it does not import a."""
    spec = find_module(name)
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


@cache
def find_module(name: str) -> ModuleSpec | None:
    parent = name.rpartition(".")[0]
    if not parent:
        return PathFinder.find_spec(name)
    package = find_module(parent)
    folders = package.submodule_search_locations if package else None
    return PathFinder.find_spec(name, list(folders)) if folders else None


def parse(path: Path) -> ast.Module:
    """The syntax tree of the Python file *path*; raises ConfigError where it is not valid Python."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigError(f"{path}{where} is not valid Python: {error.args[0]}") from None


def defined_names(tree: ast.AST) -> set[str]:
    """The names that *tree* defines, assigns or imports, at any depth."""
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return defined | assigned | {alias.asname or alias.name for node in imports for alias in node.names}
