"""Small faults that could be in a source file: one operator, comparison, constant, condition or result each.

A fault that no test notices is a promise that no test holds. What only words an error is left alone:
strings, and all within `raise` and `InputError(...)`; so are annotations, and arguments that only guard
(`strict=True`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
NAMES = {"min": "max", "max": "min", "low": "high", "high": "low", "start": "stop", "stop": "start",
         "any": "all", "all": "any", "floor": "ceil", "ceil": "floor", "argmin": "argmax", "argmax": "argmin",
         "minimum": "maximum", "maximum": "minimum", "zeros": "ones", "ones": "zeros"}  # fmt: skip
"""Names of functions and attributes that are easily confused."""

QUIET = {"frozen", "kw_only", "slots", "strict", "non_blocking", "copy", "repr", "compare"}
"""Keyword arguments that guard against mistakes or save time, and change no result."""

SILENT = {"InputError", "DamagedError", "warn", "info", "debug"}
"""Calls that only say something."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One fault.

    Attributes:
        file: Where, from the root of the repository.
        line: On which line it begins, from 1.
        start: The byte at which the old text begins.
        stop: The byte after it.
        new: The new text.
        before: The first line that differs, stripped.
        after: What it becomes, stripped.
    """

    file: Path
    line: int
    start: int
    stop: int
    new: str
    before: str
    after: str

    def applied(self, source: bytes) -> bytes:
        """The file's contents with the fault."""
        return source[: self.start] + self.new.encode() + source[self.stop :]


def mutants(file: Path, source: bytes) -> list[Mutant]:
    """All faults of a file, in the order of the text, each once.

    Args:
        file: Its name, as it shall be reported.
        source: Its contents.
    """
    lines = source.splitlines(keepends=True)
    begins = [0]
    for line in lines:
        begins.append(begins[-1] + len(line))
    found: dict[bytes, Mutant] = {}
    for node, text in _faults(ast.parse(source)):
        start = begins[node.lineno - 1] + node.col_offset
        stop = begins[node.end_lineno - 1] + node.end_col_offset
        made = Mutant(file=file, line=node.lineno, start=start, stop=stop, new=text, before="", after="")
        whole = made.applied(source)
        if whole != source and whole not in found:
            found[whole] = _shown(made, source, whole)
    return sorted(found.values(), key=lambda mutant: (mutant.start, mutant.new))


def _shown(mutant: Mutant, old: bytes, new: bytes) -> Mutant:
    pairs = zip(old.decode().splitlines(), new.decode().splitlines(), strict=False)
    line, before, after = next(
        (number, b.strip(), a.strip()) for number, (b, a) in enumerate(pairs, 1) if b != a
    )
    values = {**mutant.__dict__, "line": line, "before": before, "after": after}
    return Mutant(**values)


def _faults(tree: ast.AST) -> Iterator[tuple[Any, str]]:
    """Nodes with a text to put in their place."""
    for node in _walked(tree):
        for changed in _changed(node):
            # In brackets: what is put in place must not bind otherwise than what was there.
            text = ast.unparse(changed)
            yield node, f"({text})" if isinstance(changed, ast.BinOp | ast.BoolOp | ast.Compare) else text


def _walked(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that decide what happens: no annotations, no messages, no documentation."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _says_only(child):
                yield from _walked(child)


def _says_only(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise | ast.Assert | ast.Import | ast.ImportFrom | ast.JoinedStr):
        return True
    if isinstance(node, ast.keyword) and node.arg in QUIET:
        return True
    if isinstance(node, ast.IfExp) and _is_text(node.body) and _is_text(node.orelse):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    return isinstance(node, ast.Call) and ast.unparse(node.func).rsplit(".")[-1] in SILENT


def _changed(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=[operator]):
            for other in COMPARISONS[type(operator)]:
                yield ast.Compare(node.left, [other()], node.comparators)
        case ast.BinOp(op=operator) if type(operator) in OPERATORS and not (
            _is_text(node.left) or _is_text(node.right)
        ):
            yield ast.BinOp(node.left, OPERATORS[type(operator)](), node.right)
        case ast.AugAssign(op=operator) if type(operator) in OPERATORS:
            yield ast.AugAssign(node.target, OPERATORS[type(operator)](), node.value)
        case ast.BoolOp(op=operator):
            yield ast.BoolOp(ast.And() if isinstance(operator, ast.Or) else ast.Or(), node.values)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
            yield node.operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1 if isinstance(value, int) else value / 2)
        case ast.Return(value=ast.AST() as value) if ast.unparse(value) != "None":
            yield ast.Return(ast.Constant(None))
        case ast.IfExp(test=test):
            yield ast.IfExp(ast.UnaryOp(ast.Not(), test), node.body, node.orelse)
        case ast.Attribute(attr=name, ctx=ast.Load()) if name in NAMES:
            yield ast.Attribute(node.value, NAMES[name], node.ctx)
        case ast.Name(id=("min" | "max" | "any" | "all") as name):
            yield ast.Name(NAMES[name], node.ctx)
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()
        case _:
            pass


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or isinstance(getattr(node, "value", None), str)
