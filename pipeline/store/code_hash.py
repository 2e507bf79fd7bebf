"""Hashes of a stage's code: one for each module that it reaches by imports, from the module's syntax tree.

Comments, layout and docstrings do not count. Every import is followed, at any depth of a file, to a module of the same
package or to any file that is not installed (the standard library, site-packages): a user's network may be one file in
the current folder that imports a second one there. Of a compiled module, or one in an archive, the bytes are hashed.
Not followed are modules that are imported by a name computed at run time, and files that are read as data.

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

from components.errors import ConfigError
from components.system.canonical import sha256
from components.system.files import sha256_of_file, write_atomically
from components.system.source_code import find_module, is_installed, parse, submodules

# Carry nothing into the bytes: settings reach the recipe by value; the others hold types, sentences and refusals.
# Verdicts need no place here, as no stage imports its check; formatting has none, as figures are drawn with it.
OUTSIDE = {
    "components.artifact_files",
    "components.errors",
    "components.models.catalog",
    "components.progress",
    "components.public_text",
    "components.settings.augmentation",
    "components.settings.fields",
    "components.settings.sections",
    "components.system.processor",
    "components.train.distributed.cluster",
    "components.train.machine",
    "components.train.memory_check",
}
RACY_NS = 2 * 10**9
FILE = "code_hashes.json"


class Code(NamedTuple):
    """The code of a module."""

    hash: str
    names: tuple[str, ...]  # that it imports: modules and their contents


Identity = tuple[str, int, int, int]  # of a file: path, size, mtime, inode


class CodeHashes:
    """The hashes of modules: computed once in a process, and kept in the folder *cache* for the next one."""

    def __init__(self, cache: Path | None) -> None:
        self._file = cache / FILE if cache else None
        self._remembered = _read(self._file) if self._file else {}
        self._known: dict[str, tuple[Identity, Code]] = {}
        self._changed = False

    def reached(self, modules: Iterable[str], outside: Iterable[str] = OUTSIDE) -> dict[str, str]:
        """The hash of each module that *modules* reach by imports, those *outside* left out."""
        return {name: code.hash for name, code in self._walk(modules, outside).items()}

    def installed(self, modules: Iterable[str]) -> set[str]:
        """The top-level packages that *modules* and what they reach import from installed distributions."""
        tops = {name.partition(".")[0] for code in self._walk(modules).values() for name in code.names}
        top_level = {top: find_module(top) for top in tops - sys.stdlib_module_names}
        return {top for top, module in top_level.items() if module and module.file and is_installed(module.file)}

    def _walk(self, modules: Iterable[str], outside: Iterable[str] = OUTSIDE) -> dict[str, Code]:
        codes: dict[str, Code] = {}
        pending = list(modules)
        if missing := [name for name in pending if not find_module(name)]:
            raise ModuleNotFoundError(f"no module {missing[0]}")
        while pending:
            name = pending.pop()
            if name in codes or name in outside or not name:
                continue
            package, _, last = name.rpartition(".")
            pending += [package, *(submodules(package) if last == "*" else ())]  # a package's code runs first
            if (module := find_module(name)) and module.file:
                codes[name] = code = self._code(name, module.file)
                pending.extend(other for other in code.names if _is_followed(other, name))
        self._write()
        return dict(sorted(codes.items()))

    def _code(self, name: str, path: Path) -> Code:
        """The code of the module *name*; one that this process has loaded keeps the hash that it had."""
        known = self._known.get(name)
        if known and name in sys.modules:
            return known[1]
        identity = _identity(path)
        if not known or known[0] != identity:
            self._known[name] = identity, self._of_file(name, path, identity)
        return self._known[name][1]

    def _of_file(self, name: str, path: Path, identity: Identity) -> Code:
        known, now = self._remembered.get(name), time.time_ns()
        if known and known[0] == identity:
            return known[1]
        code = _read_code(name, path)
        if now - identity[2] > RACY_NS:
            self._remembered[name] = identity, code
            self._changed = True
        return code

    def _write(self) -> None:
        if self._file and self._changed:
            content = {"made_by": _made_by(), "modules": self._remembered}
            with suppress(OSError):  # a full or missing workspace is reported where something has to be written
                write_atomically(self._file, json.dumps(content))
                self._changed = False


def _read(file: Path) -> dict[str, tuple[Identity, Code]]:
    with suppress(OSError, ValueError, TypeError, LookupError, AttributeError):  # missing or unreadable: computed again
        content = json.loads(file.read_bytes())
        if content["made_by"] == _made_by():
            return {
                name: ((path, size, mtime, inode), Code(sha, tuple(names)))
                for name, ((path, size, mtime, inode), (sha, names)) in content["modules"].items()
            }
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


def _is_followed(name: str, importer: str) -> bool:
    """Whether the module or attribute *name* is part of the code of *importer*: of its package, or not installed."""
    top = name.partition(".")[0]
    own = importer.partition(".")[0]
    if top == own or (own == "components" and top in sys.stdlib_module_names):
        return top == own
    module = find_module(top)
    if module and not module.file:  # a namespace package: one part may be installed and another one not
        return _is_not_installed(name.removesuffix(".*"))
    return _is_not_installed(top)


@cache
def _is_not_installed(name: str) -> bool:
    module = find_module(name)
    return bool(module and not (module.file and is_installed(module.file)))


def _read_code(name: str, path: Path) -> Code:
    """The code in the file *path*; its bytes where it holds no Python, or none that this version can read."""
    with suppress(ConfigError, RecursionError):  # such as one that is imported on another version only
        tree = parse(path) if path.suffix == ".py" else None
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        if tree:
            names = {*_imported(tree, package), *_imported_by_name(tree, package)}
            return Code(sha256(ast.unparse(_without_docstrings(tree))), tuple(sorted(names)))
    return Code(sha256_of_file(path), ())


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    """The modules, and contents of modules, that *tree*, a module of *package*, imports; "a.*" for all of a."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                yield from (alias.name for alias in aliases)
            case ast.ImportFrom(module=module, names=aliases, level=level):
                base = _absolute(module or "", level, package)
                # `from components.ingest.sources import idx` names a module, `import kind` a function
                yield from (base, *(f"{base}.{alias.name}" for alias in aliases))


def _imported_by_name(tree: ast.AST, package: str) -> Iterator[str]:
    """The modules that *tree* imports by a name that is written out: import_module("a.b").

    The project does so with the modules that only some settings need, which pipeline/store/recipe.py adds to the key.
    """
    if package.partition(".")[0] == "components":
        return
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(text)), *_],
            ):
                name = text.lstrip(".")
                yield _absolute(name, len(text) - len(name), package)


def _absolute(name: str, level: int, package: str) -> str:
    """The full name of what a module of *package* imports as *name* with *level* dots before it."""
    parent = package.rsplit(".", level - 1)[0] if level else ""
    return ".".join(part for part in (parent, name) if part)


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
