"""The faults themselves: which there are, that each is one change of the text, and what is left alone."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from .mutations import mutants
from .places import naming

FILE = Path("some.py")
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
ROOT = Path(__file__).parents[2]


def becomes(source: str) -> set[str]:
    """All that one fault makes of a line."""
    return {mutant.applied(source.encode()).decode() for mutant in mutants(FILE, source.encode())}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", {"(a <= b)", "(a >= b)"}),
        ("a == b", {"(a != b)"}),
        ("a is None", {"(a is not None)"}),
        ("a in b", {"(a not in b)"}),
        ("a - b", {"(a + b)"}),
        ("a // b", {"(a * b)"}),
        ("a += b", {"a -= b"}),
        ("a and b and c", {"(a or b or c)"}),
        ("not a", {"a"}),
        ("-a", {"a"}),
        ("True", {"False"}),
        ("a[3]", {"a[4]", "a[2]"}),
        ("0.5", {"1.5", "0.25"}),
        ("return a", {"return None"}),
        ("a if b else c", {"a if not b else c"}),
        ("min(a)", {"max(a)", "pass"}),
        ("a.low", {"a.high"}),
        ("f()", {"pass"}),
        ("break", {"continue"}),
    ],
)
def test_each_kind(source, expected):
    assert becomes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "'text'",
        "f'{a + 1}'",
        "raise InputError('text', got=a + 1)",
        "x = InputError('text', got=a + 1)",
        "assert a > 1",
        "x: Literal[1]",
        "def f(a: Float[Array, '2']) -> Literal[2]: ...",
        "if TYPE_CHECKING:\n    x = 1",
        "x = zip(a, b, strict=True)",
        "x = 'more' if a > 1 else f'{b} less'",
        "a.low = b",
        "from a import b",
    ],
)
def test_what_only_says_something_is_left_alone(source):
    assert becomes(source) == set()


def test_a_fault_is_one_change_that_keeps_the_file_valid_and_is_found_at_its_line():
    source = Path(__file__).with_name("mutations.py").read_bytes()
    found = mutants(FILE, source)
    assert len(found) > 50
    assert len({mutant.applied(source) for mutant in found}) == len(found)
    lines = source.decode().splitlines()
    for mutant in found:
        ast.parse(mutant.applied(source))
        assert lines[mutant.line - 1].strip() == mutant.before != mutant.after


def test_text_before_a_fault_may_be_of_any_alphabet():
    assert becomes("x = 'größer als ∞'; y = a < b") >= {"x = 'größer als ∞'; y = (a <= b)"}


def test_every_fault_that_is_listed_as_changing_nothing_is_one():
    for one in tomllib.loads(EQUIVALENT.read_text())["equivalent"]:
        assert one["reason"]
        source = (ROOT / one["file"]).read_bytes()
        if "function" in one:
            names = {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
            assert one["function"] in names, one
        else:
            pairs = {(mutant.before, mutant.after) for mutant in mutants(Path(one["file"]), source)}
            assert one["before"] in {before for before, _ in pairs}, one
            assert "after" not in one or (one["before"], one["after"]) in pairs, one


def test_a_fault_in_a_constant_is_tried_by_tests_of_the_functions_that_read_it(tmp_path: Path) -> None:
    room = tmp_path / "src" / "headrace" / "room"
    room.mkdir(parents=True)
    (room / "one.py").write_text(
        "A, B = 1, 2\nKEPT = 3\nHELD = KEPT + 1\nC = 5\n\n\n"
        "def first():\n    return A\n\n\ndef second():\n    return C\n"
    )
    (room / "two.py").write_text("from one import B\n\n\ndef third():\n    return B\n")
    (room.parent / "other.py").write_text("from room.one import C\n\n\ndef fourth():\n    return C\n")
    (room.parent / "alike.py").write_text("KEPT = A = 7\nprint(A)\n")
    file = Path("src/headrace/room/one.py")

    def functions(line: int) -> set[str] | None:
        found = naming(file, line, tmp_path)
        return found and {place.rpartition("/")[2] for place in found}

    assert functions(1) == {"one.py:7", "two.py:4"}
    # Read where the module is made, read in another room, where calls are not noted, and read nowhere.
    assert [functions(line) for line in (2, 4, 3)] == [None, None, None]
