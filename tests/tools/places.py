"""Which functions are around a line of a file, and which ones depend on it."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from typing import TypeGuard


def naming(file: Path, line: int, copy: Path) -> set[str] | None:
    """The functions that name what a line of a module defines, as "file:first line".

    Args:
        file: The module, from the root of the repository.
        line: The line, from 1.
        copy: The root.

    Returns:
        The functions; None if something else may depend on the line.
    """
    own, room = copy / file, copy.joinpath(*file.parts[:3])
    defined = defined_at(own, line)
    found: set[str] = set()
    for other in (copy / "src").rglob("*.py"):
        source = other.read_bytes()
        if not any(name.encode() in source for name in defined):
            continue
        tree = ast.parse(source)
        if other != own and not any(_imports(node, defined) for node in ast.walk(tree)):
            continue
        around = [functions_at(other, node.lineno) for node in ast.walk(tree) if _reads(node, defined)]
        # Calls are noted in the room alone.
        if not all(around) or (around and other.parts[: len(room.parts)] != room.parts):
            return None
        found |= {f"{other}:{first_line(function)}" for functions in around for function in functions}
    return found or None


def defined_at(file: Path, line: int) -> set[str]:
    """The names that the statement at a line of a module itself defines."""
    return _defined(ast.parse(file.read_bytes()), line)


def _defined(module: ast.Module, line: int) -> set[str]:
    for node in module.body:
        if isinstance(node, ast.Assign) and node.lineno <= line <= (node.end_lineno or 0):
            return {
                part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)
            }
    return set()


def _imports(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.ImportFrom):
        return any(alias.name in names for alias in node.names)
    return isinstance(node, ast.Attribute) and node.attr in names


def _reads(node: ast.AST, names: set[str]) -> TypeGuard[ast.expr]:
    named = getattr(node, "id", None) or getattr(node, "attr", None)
    return named in names and isinstance(getattr(node, "ctx", None), ast.Load)


def functions_at(file: Path, line: int) -> list[ast.FunctionDef]:
    """The functions around a line, the outermost first."""
    functions = _allfunctions_at(file.read_bytes())
    around = [node for node in functions if node.lineno <= line <= (node.end_lineno or 0)]
    return sorted(around, key=lambda node: node.lineno)


@lru_cache(maxsize=4)
def _allfunctions_at(source: bytes) -> tuple[ast.FunctionDef, ...]:
    return tuple(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))


def first_line(function: ast.FunctionDef) -> int:
    return min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
