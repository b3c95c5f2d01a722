"""The code of a workload of the user's own: its module and the modules next to it that it imports, as read.

Two texts that differ in comments, docstrings or formatting alone have the same digest. Imports are followed
wherever they are written, at the top or within a function, but only to files within the folder in which the
module (or the package that it belongs to) is stored: what is installed elsewhere is known by the untrained
model's outputs. A module that was imported while `reading` was active is known by the very bytes that Python
compiled; another is read when it is asked for.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_READ: dict[str, bytes] = {}
"""File -> the bytes from which this process has imported a module."""
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@contextmanager
def reading() -> Generator[None]:
    """While the block lasts, note the bytes of every module of the user's that is imported."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder:
    """Finds modules as Python does, and has those of the user's compiled from bytes that are kept."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader or spec.origin is None:
            return None
        if _INSTALLED & set(Path(spec.origin).parts) or spec.origin.startswith(sys.base_prefix):
            return None
        spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Compiles the source itself: a cached compilation may be of another text of that length and second."""

    def get_code(self, fullname: str) -> CodeType:
        content = self.get_data(self.path)
        _READ[self.path] = content
        return self.source_to_code(content, self.path)


def sources(module_name: str) -> dict[str, str]:
    """The digest of each file of the user's that the module is made of.

    Args:
        module_name: An imported module.

    Returns:
        File, relative to the folder of the outermost package or module -> a digest of its meaning; sorted.
        Empty if the module has no source file.
    """
    module = sys.modules[module_name]
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py"):
        return {}
    top = module_name.partition(".")[0]
    depth = module_name.count(".") + (Path(file).name == "__init__.py")
    folder = Path(file).parents[depth]
    only = top if _INSTALLED & set(folder.parts) else None
    found: dict[str, str] = {}
    waiting = list(_files(folder, module_name))
    while waiting:
        name, path = waiting.pop()
        key = path.relative_to(folder).as_posix()
        if key in found:
            continue
        digest, imported = _meaning(path, name)
        found[key] = digest
        for other in imported:
            if only is None or other.partition(".")[0] == only:
                waiting += _files(folder, other)
    return dict(sorted(found.items()))


def _files(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    """The files that importing `name` from the folder reads, the packages above it among them."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        place = folder.joinpath(*parts[:end])
        package = ".".join(parts[:end])
        if (place / "__init__.py").is_file():
            yield f"{package}.__init__", place / "__init__.py"
        elif place.with_suffix(".py").is_file():
            yield package, place.with_suffix(".py")


def _meaning(path: Path, name: str) -> tuple[str, list[str]]:
    """The digest of a file's meaning, and the modules that it may import, by their absolute names."""
    content = _READ.get(str(path))
    content = path.read_bytes() if content is None else content
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        # Imported by no one yet; whoever does will say so.
        return hashlib.sha256(content).hexdigest(), []
    imported = list(_imports(tree, name.rpartition(".")[0]))
    return hashlib.sha256("".join(_plain(tree)).encode()).hexdigest(), imported


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _plain(node: Any) -> Iterator[str]:
    """The tree as text, without positions, docstrings, and what is empty (that differs between Pythons)."""
    if isinstance(node, ast.AST):
        yield f"{type(node).__name__}("
        for field, value in ast.iter_fields(node):
            kept = value[1:] if field == "body" and _has_docstring(node) else value
            if kept not in (None, []):
                yield f"{field}="
                yield from _plain(kept)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for item in node:
            yield from _plain(item)
        yield "]"
    else:
        yield f"{node!r},"


def _has_docstring(node: ast.AST) -> bool:
    return isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None
