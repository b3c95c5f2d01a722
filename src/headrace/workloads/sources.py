"""The code of a workload of the user's own: its module and the modules that it imports, as read.

Two texts that differ in comments, docstrings or formatting alone have the same digest. Imports are followed
wherever they are written, at the top or within a function, to files in the folder in which the module (or the
package that it belongs to) is stored, and to others on Python's path that are not installed: what is
installed is known by what it computes. A module that was imported while `reading` was active is known by the
very bytes that Python compiled; another is read when it is asked for.
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
_OWN = Path(__file__).parents[1]
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
        if _is_installed(Path(spec.origin)):
            return None
        spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Compiles the source itself: a cached compilation may be of another text of that length and second."""

    def get_code(self, fullname: str) -> CodeType:
        content = self.get_data(self.path)
        _READ[self.path] = content
        return self.source_to_code(content, self.path)


def _is_installed(file: Path) -> bool:
    """Whether a module belongs to Python or to a package that was installed, or to Headrace."""
    parts = file.parts
    return bool(_INSTALLED & set(parts)) or file.is_relative_to(sys.base_prefix) or file.is_relative_to(_OWN)


def sources(module_name: str) -> dict[str, str]:
    """The digest of each file of the user's that the module is made of.

    Args:
        module_name: An imported module.

    Returns:
        File, relative to the folder of the outermost package or module, or else to its place on Python's
        path -> a digest of its meaning; sorted.
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
    waiting = [(folder, name, path) for name, path in _files(folder, module_name)]
    while waiting:
        root, name, path = waiting.pop()
        key = path.relative_to(folder if path.is_relative_to(folder) else root).as_posix()
        if key in found:
            continue
        digest, imported = _meaning(path, name)
        found[key] = digest
        for other in imported:
            if only is None or other.partition(".")[0] == only:
                waiting += _placed(folder, other, elsewhere=only is None)
    return dict(sorted(found.items()))


def _placed(folder: Path, name: str, *, elsewhere: bool) -> Iterator[tuple[Path, str, Path]]:
    """The files that importing `name` reads, each with the folder from which it is named."""
    root: Path | None = folder
    found = list(_files(folder, name))
    if not found and elsewhere:
        root = _root(name.partition(".")[0])
        found = list(_files(root, name)) if root else []
    yield from ((root, *file) for file in found if root)


def _root(top: str) -> Path | None:
    """The folder of a module or package of the user's on Python's path; None of one that is installed."""
    loaded = getattr(sys.modules.get(top), "__file__", None)
    if loaded is None:
        spec = PathFinder.find_spec(top) if top else None
        loaded = spec.origin if spec and spec.has_location else None
    if loaded is None or _is_installed(file := Path(loaded)):
        return None
    return file.parents[1 if file.name == "__init__.py" else 0]


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
        elif isinstance(node, ast.Call) and (name := _by_call(node)):
            above = package if name.startswith(".") else ""
            yield above + name


def _by_call(node: ast.Call) -> str | None:
    """The module that `import_module("NAME")` or `__import__("NAME")` imports."""
    called = getattr(node.func, "attr", getattr(node.func, "id", None))
    if called not in ("import_module", "__import__") or not node.args:
        return None
    name = node.args[0]
    return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else None


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
