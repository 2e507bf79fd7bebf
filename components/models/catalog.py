"""What can be told about the choice of a network before anything runs, importing neither Keras nor a person's code."""

import ast
import difflib
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from components.errors import ConfigError
from components.settings.sections import Train

OWN_UNUSED = ("width", "depth", "dropout")  # a person's own function is told shape and classes alone


def is_own(name: str) -> bool:
    """Whether *name* is a person's own function, "package.module:function"."""
    return ":" in name


def module_of(name: str) -> str:
    """The module that holds the network *name*."""
    return name.partition(":")[0] if is_own(name) else f"components.models.architectures.{name}"


def said_by(name: str, what: str, otherwise: Any) -> Any:
    """What the module of the network *name* says of it under the name *what*; nothing is asked of a person's module."""
    return otherwise if is_own(name) else getattr(import_module(module_of(name)), what, otherwise)


def check(name: str, settings: Train) -> None:
    """Raise ConfigError where the network *name* is not there, or cannot use a setting that was set."""
    chosen = f"train.member_models={settings.member_models}" if settings.member_models else f"train.model={name}"
    if is_own(name):
        _expect_function(name, chosen)
    unused = OWN_UNUSED if is_own(name) else said_by(name, "UNUSED", ())
    usual = Train()
    problems = [
        f"train.{setting} is {getattr(settings, setting)}, which {chosen} cannot use; "
        f"leave it at {getattr(usual, setting)}"
        for setting in unused
        if getattr(settings, setting) != getattr(usual, setting)
    ]
    if problems:
        raise ConfigError(*problems)


def _expect_function(name: str, chosen: str) -> None:
    module, _, function = name.partition(":")
    path = source_file(module)
    if path is None:
        raise ConfigError(
            f"{chosen}: there is no module {module}; expected a Python file in the folder that you start "
            "from, or in one of PYTHONPATH"
        )
    if function not in (names := _names(parse(path))):
        near = difflib.get_close_matches(function, names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{chosen}: {path} has no function {function}{hint}")


def _names(tree: ast.AST) -> set[str]:
    """What *tree* defines or imports, at any depth: an import tells the rest when the network is built."""
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return defined | assigned | {alias.asname or alias.name for node in imports for alias in node.names}


def parse(path: Path) -> ast.Module:
    """The syntax tree of the Python file *path*; raises ConfigError where it is none."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigError(f"{path}{where} is not valid Python: {error.args[0]}") from None


@cache
def source_file(name: str) -> Path | None:
    """The file of the module *name* ("a.b"), None where there is none; unlike find_spec, it does not import a."""
    path, spec, parts = None, None, name.split(".")
    for length in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:length]), path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None
