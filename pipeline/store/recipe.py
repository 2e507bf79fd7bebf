"""What an artifact's bytes depend on, written down (the recipe), and the hash that names it (the key).

    recipe = {stage, code, params, inputs, runtime}
      code     module -> hash of its syntax tree, for the stage's module and every module it reaches
      params   the stage's own settings, those that can change the bytes
      inputs   stage -> digest of its files (not its key: changed code that yields the same bytes stops there); for a
               distillation also teacher -> digest of its model file
      runtime  distribution -> version, read from package metadata

The recipe is stored readable in the artifact's manifest: "why did it run again?" is a difference of two recipes.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from functools import cache
from importlib import metadata
from typing import Any

from components.models import catalog
from components.settings.fields import Section
from components.settings.sections import Params
from pipeline.graph import STAGES

Recipe = dict[str, Any]

# Settings reach the recipe by value, in one spelling; errors, progress and verdicts carry nothing into the bytes.
OUTSIDE = {
    "components",
    "components.errors",
    "components.evaluate.check",
    "components.evaluate.diagnosis",
    "components.export.budgets",
    "components.export.check",
    "components.findings",
    "components.models.catalog",
    "components.progress",
    "components.settings.augmentation",
    "components.settings.fields",
    "components.settings.sections",
    "components.train.memory_check",
}


def canonical(value: Any) -> str:
    """JSON with one spelling per value: sorted keys, no white space, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def key(recipe: Recipe) -> str:
    """The name of the artifact that *recipe* makes: 16 hexadecimal digits (64 bits) of its sha256."""
    return sha256(canonical(recipe))[:16]


def recipe(stage: str, params: Params, inputs: Mapping[str, str], source: str = "") -> Recipe:
    """The recipe of *stage*; *inputs* maps the stages it reads to digests, *source* identifies ingest's images."""
    made_from = dict(inputs) if stage != "ingest" else {"source": source}
    return {
        "stage": stage,
        "code": code(modules_of(stage, params)),
        "params": settings_in_key(getattr(params, stage)),
        "inputs": made_from,
        "runtime": runtime(STAGES[stage].runtime),
    }


def settings_in_key(section: Section) -> dict[str, Any]:
    return {f.name: getattr(section, f.name) for f in fields(section) if f.metadata["in_key"]}


def modules_of(stage: str, params: Params) -> list[str]:
    """The modules where the code of *stage* begins: its own, and the one that a setting names."""
    modules = [f"components.{stage}.stage"]
    if stage == "train":
        modules += [module for name in params.train.networks for module in _of_network(name)]
    if stage == "ingest":
        from components.ingest.sources.select import kind

        modules.append(f"components.ingest.sources.{kind(params.ingest.source)}")
    return modules


def _of_network(name: str) -> list[str]:
    """A network's module; for a person's own also that which builds it, and the packages that importing it runs."""
    module = catalog.module_of(name)
    if not catalog.is_own(name):
        return [module]
    parts = module.split(".")
    packages = [".".join(parts[:length]) for length in range(1, len(parts))]
    return ["components.models.custom", module, *(package for package in packages if catalog.source_file(package))]


def code(modules: Iterable[str]) -> dict[str, str]:
    """Hash of each module that *modules* reach by imports, comments, layout and docstrings left out.

    Imports are followed within the package that a module belongs to: components, or that of a person's own network.
    """
    reached: dict[str, str] = {}
    pending = list(modules)
    while pending:
        name = pending.pop()
        if name in reached or name in OUTSIDE:
            continue
        reached[name], imports = _module(name)
        pending.extend(imports)
    return dict(sorted(reached.items()))


@cache
def _module(name: str) -> tuple[str, tuple[str, ...]]:
    path = catalog.source_file(name)
    if path is None:
        raise ModuleNotFoundError(f"no module {name}")
    tree = catalog.parse(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imports = tuple(sorted(set(_imports(tree, package, name.partition(".")[0]))))
    return sha256(ast.unparse(_without_docstrings(tree))), imports


def _imports(tree: ast.AST, package: str, top: str) -> Iterator[str]:
    """The modules in *top* that *tree*, a module of *package*, imports."""
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
        yield from (name for name in names if name.partition(".")[0] == top and catalog.source_file(name))


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


@cache
def runtime(distributions: tuple[str, ...]) -> dict[str, str]:
    """Version of Python and of each distribution, without importing any."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"python": python, **{name: _version(name) for name in distributions}}


def _version(name: str) -> str:
    if name == "tensorflow":  # the CPU build computes the same and goes by another name
        for build in ("tensorflow-cpu", "tensorflow"):
            try:
                return metadata.version(build)
            except metadata.PackageNotFoundError:
                continue
    return metadata.version(name)


def differences(old: Recipe, new: Recipe) -> list[str]:
    """What *new* has otherwise than *old*, a sentence each: "train.epochs 3 -> 5", "train/stage.py changed"."""
    found = []
    for part in ("params", "inputs", "code", "runtime"):
        before, after = old.get(part, {}), new.get(part, {})
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                found.append(_difference(new["stage"], part, name, before.get(name), after.get(name)))
    return found


def _difference(stage: str, part: str, name: str, before: Any, after: Any) -> str:
    if part == "params":
        return f"{stage}.{name} {before!r} -> {after!r}"
    if part == "inputs":
        return f"what it reads changed: {name}"
    if part == "code":
        verb = "is new" if before is None else "is gone" if after is None else "changed"
        return f"{name.replace('.', '/')}.py {verb}"
    return f"{name} {before} -> {after}"
