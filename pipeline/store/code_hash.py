"""Hashes of a stage's code: one for each module that it reaches by imports, from the module's syntax tree.

Comments, layout and docstrings do not count. Imports are followed within the package that a module belongs to:
`components`, or that of a custom network.

Parsing them all takes half a second, so the hash of a file is remembered in the workspace's cache, and used for as long
as the file keeps its size, modification time and inode. A file that was modified within the last two seconds is not
remembered, as in git's index: a second change within the resolution of the clock would go unnoticed.
"""

import ast
import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from components.system.files import write_atomically
from components.system.source_code import parse, source_file
from pipeline.store.canonical import sha256

# Carry nothing into the bytes: settings reach the recipe by value; the others hold types, sentences and refusals.
# Verdicts need no place here, as no stage imports its check; formatting has none, as figures are drawn with it.
OUTSIDE = {
    "components.artifact_files",
    "components.errors",
    "components.models.catalog",
    "components.progress",
    "components.settings.augmentation",
    "components.settings.fields",
    "components.settings.sections",
    "components.train.distributed.cluster",
    "components.train.memory_check",
}
RACY_NS = 2 * 10**9
FILE = "code_hashes.json"


class Module(NamedTuple):
    hash: str
    names: tuple[str, ...]  # imported from the same top-level package: modules and their contents


Identity = tuple[str, int, int, int]  # of a file: path, size, mtime, inode


class CodeHashes:
    """The hashes of modules: computed once in a process, and kept in the folder *cache* for the next one."""

    def __init__(self, cache: Path | None) -> None:
        self._file = cache / FILE if cache else None
        self._remembered = _read(self._file) if self._file else {}
        self._modules: dict[str, Module] = {}
        self._changed = False

    def reached(self, modules: Iterable[str], outside: Iterable[str] = OUTSIDE) -> dict[str, str]:
        """The hash of each module that *modules* reach by imports, those *outside* left out."""
        hashes: dict[str, str] = {}
        pending = list(modules)
        while pending:
            name = pending.pop()
            if name in hashes or name in outside:
                continue
            module = self._module(name)
            hashes[name] = module.hash
            pending.extend(name for name in module.names if source_file(name))
        self._write()
        return dict(sorted(hashes.items()))

    def _module(self, name: str) -> Module:
        if name not in self._modules:
            path = source_file(name)
            if path is None:
                raise ModuleNotFoundError(f"no module {name}")
            self._modules[name] = self._of_file(name, path)
        return self._modules[name]

    def _of_file(self, name: str, path: Path) -> Module:
        identity, now = _identity(path), time.time_ns()
        known = self._remembered.get(name)
        if known and known[0] == identity:
            return known[1]
        module = _parsed(name, path)
        if now - identity[2] > RACY_NS:
            self._remembered[name] = identity, module
            self._changed = True
        return module

    def _write(self) -> None:
        if self._file and self._changed:
            content = {"made_by": _made_by(), "modules": self._remembered}
            with suppress(OSError):  # a full or missing workspace is reported where something has to be written
                write_atomically(self._file, json.dumps(content))
                self._changed = False


def _read(file: Path) -> dict[str, tuple[Identity, Module]]:
    try:
        content = json.loads(file.read_bytes())
        if content["made_by"] == _made_by():
            return {
                name: ((path, size, mtime, inode), Module(sha, tuple(names)))
                for name, ((path, size, mtime, inode), (sha, names)) in content["modules"].items()
            }
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        ...  # missing or unreadable: computed again
    return {}


def _identity(path: Path) -> Identity:
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns, status.st_ino


@cache
def _made_by() -> str:
    """What a hash depends on besides the module: this file, and the Python that spells the syntax tree."""
    return f"{sys.version} {_identity(Path(__file__))}"


@cache
def code_hashes(cache: Path | None = None) -> CodeHashes:
    """The hashes that this process knows, read from the folder *cache* once."""
    return CodeHashes(cache)


def _parsed(name: str, path: Path) -> Module:
    tree = parse(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    names = tuple(sorted(set(_imported(tree, package, name.partition(".")[0]))))
    return Module(sha256(ast.unparse(_without_docstrings(tree))), names)


def _imported(tree: ast.AST, package: str, top: str) -> Iterator[str]:
    """The names in the package *top* that *tree*, a module of *package*, imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parent = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(part for part in (parent, node.module) if part)
            # `from components.ingest.sources import idx` names a module, `import kind` a function
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == top)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return tree
