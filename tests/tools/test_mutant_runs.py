"""A fault put into a process that stands ready: functions of every form get the new code, others are told."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from .mutant_runs import put_in_place

SOURCE = '''
from functools import cache, cached_property


def plain(a, b=2):
    """Text."""
    return [a + x for x in range(b)]


@cache
def kept(a):
    return a + 1


def outer(a):
    def inner(b):
        return a + b

    return inner


class Thing:
    @property
    def size(self):
        return 1 + 1

    @cached_property
    def other(self):
        return 3 + 1

    def method(self):
        return super().__hash__() and 5 + 1
'''


@pytest.mark.parametrize(
    ("first", "old", "new", "call", "before", "after"),
    [
        (5, "a + x", "a - x", lambda m: m.plain(5), [5, 6], [5, 4]),
        (10, "return a + 1", "return a - 1", lambda m: m.kept(5), 6, 4),
        (15, "a + b", "a - b", lambda m: m.outer(5)(1), 6, 4),
        (23, "1 + 1", "1 - 1", lambda m: m.Thing().size, 2, 0),
        (27, "3 + 1", "3 - 1", lambda m: m.Thing().other, 4, 2),
        (31, "5 + 1", "5 - 1", lambda m: m.Thing().method(), 6, 4),
    ],
)
def test_functions_get_the_code_that_the_file_holds(
    tmp_path: Path, first, old, new, call, before, after
) -> None:
    file = tmp_path / "made.py"
    file.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("made", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert not put_in_place(file, first)
    if first != 10:
        assert call(module) == before
    file.write_text(SOURCE.replace(old, new))
    assert put_in_place(file, first)
    assert call(module) == after
    file.write_text(SOURCE.replace("b=2", "b=3"))
    put_in_place(file, first)
    assert module.plain(5) == [5, 6]
    assert not put_in_place(file, 5)
    assert not put_in_place(file, 1)
