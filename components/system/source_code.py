"""Find and parse the source of a module without importing it."""

import ast
import os
import sys
from functools import cache
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder
from pathlib import Path
from pkgutil import iter_modules
from typing import NamedTuple

from components.errors import ConfigError

INSTALLED = {"site-packages", "dist-packages"}  # dist-packages: Debian's name for it
STANDARD_LIBRARY = {
    Path(os.__file__).parent,
    Path(sys.base_exec_prefix, sys.platlibdir, f"python{sys.version_info.major}.{sys.version_info.minor}"),
}


class Module(NamedTuple):
    """Where a module lies."""

    file: Path | None  # source, bytecode, compiled extension, or the archive that holds it; None: a namespace package
    folders: tuple[str, ...]  # of a package: where its modules are looked for


def source_file(name: str) -> Path | None:
    """The Python file of the module *name* ("a.b"), None where there is none; a is not imported, as by find_spec."""
    module = find_module(name)
    return module.file if module and module.file and module.file.suffix == ".py" else None


@cache
def find_module(name: str) -> Module | None:
    """The module *name*, None where Python would find none, or has it built in."""
    parent, _, tail = name.rpartition(".")
    if not parent:
        return _module(_find_top(name)) if name else None
    package = find_module(parent)
    # by the last part of the name alone: the finder would look for the parent of a namespace package in sys.modules
    return _module(PathFinder.find_spec(tail, package.folders)) if package and package.folders else None


def _find_top(name: str) -> ModuleSpec | None:
    if spec := PathFinder.find_spec(name):
        return spec
    for finder in sys.meta_path:  # those of editable installations
        if finder not in (BuiltinImporter, FrozenImporter, PathFinder) and (spec := finder.find_spec(name, None)):
            return spec
    return None


def _module(spec: ModuleSpec | None) -> Module | None:
    if spec is None:
        return None
    folders = tuple(spec.submodule_search_locations or ())
    path = Path(spec.origin) if spec.origin and spec.has_location else None
    while path and not path.is_file() and path != path.parent:  # within an archive
        path = path.parent
    return Module(path if path and path.is_file() else None, folders)


def submodules(package: str) -> list[str]:
    """The modules directly in *package*."""
    module = find_module(package)
    return [f"{package}.{info.name}" for info in iter_modules(module.folders)] if module else []


def is_installed(path: Path) -> bool:
    """Whether *path* belongs to the standard library or to an installed distribution."""
    return not INSTALLED.isdisjoint(path.parts) or any(path.is_relative_to(folder) for folder in STANDARD_LIBRARY)


def parse(path: Path) -> ast.Module:
    """The syntax tree of the Python file *path*; raises ConfigError where it is not valid Python."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        reason = error.args[0] if error.args else "it is nested too deeply"
        raise ConfigError(f"{path}{where} is not valid Python: {reason}") from None


def defined_names(tree: ast.AST) -> set[str]:
    """The names that *tree* defines, assigns or imports, at any depth."""
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return defined | assigned | {alias.asname or alias.name for node in imports for alias in node.names}
