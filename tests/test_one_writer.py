"""One writer of files: whatever else opens a file to write, touches or copies one must give a reason here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace

SRC = Path(headrace.__file__).parent

REASONS = {
    ("cli/app.py", "open"): "/dev/null, in place of an output that is closed",
    ("engines/testing.py", "write_bytes"): "a temporary folder of the conformance suite",
    ("engines/testing.py", "touch"): "a temporary folder of the conformance suite",
    ("files.py", "open"): "this is the writer",
    ("store/lock.py", "open"): "the lock is held open: a file that replaced it would be free",
    ("trials/step_timing.py", "write_text"): "a switch of the kernel, under /proc",
}
"""(File, call) -> why it does not go through `headrace.files`."""

WRITERS = re.compile(
    "write_(text|bytes|parquet|csv|json|ndjson|ipc|table)|sink_(parquet|csv|ipc)|to_(csv|parquet|file)|tofile"
    "|save(fig|txt|z|z_compressed|_file|_model)|touch|mkstemp|NamedTemporaryFile|(sym|hard)link_to"
    "|copy(file|2|tree)|urlretrieve"
)
OWN = frozenset({"storage.write_parquet", "write_table"})
"""Ours, of the same names: they take their files to the writer."""

LIBRARIES = (
    "np.save",
    "numpy.save",
    "torch.save",
    "image.save",
    "picture.save",
    "shutil.copy",
    "shutil.move",
)
BUFFERS = ("BytesIO", "StringIO", "writing")
"""What a library may write to: memory, or what the writer opened."""


def written(source: str) -> Iterator[str]:
    """The calls of a module that may write a file otherwise than through the writer."""
    tree = ast.parse(source)
    buffers = set(_buffers(tree))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        last = name.rpartition(".")[2]
        to_buffer = any(isinstance(given, ast.Name) and given.id in buffers for given in call.args)
        writes = (WRITERS.fullmatch(last) or name in LIBRARIES) and name not in OWN and not to_buffer
        if writes or (last == "open" and _may_write(call)):
            yield last


def _buffers(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _makes_buffer(node.value):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        if isinstance(node, ast.withitem) and _makes_buffer(node.context_expr):
            assert isinstance(node.optional_vars, ast.Name)
            yield node.optional_vars.id


def _makes_buffer(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in BUFFERS


def _may_write(call: ast.Call) -> bool:
    """Whether a mode or a flag among the arguments is not one of reading."""
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg != "encoding")]
    texts = [node.value for value in given for node in ast.walk(value) if isinstance(node, ast.Constant)]
    modes = [text for text in texts if isinstance(text, str) and text and set(text) <= set("rwxabt+")]
    flags = " ".join(map(ast.unparse, given))
    if ast.unparse(call.func) == "os.open":
        return not any(flag in flags for flag in ("os.O_RDONLY", "_FOLDER"))
    return any(set(mode) & set("wxa+") for mode in modes)


def test_every_file_is_written_by_the_one_writer() -> None:
    files = sorted(SRC.rglob("*.py"))
    assert len(files) > 200
    found = {
        (str(path.relative_to(SRC)), name) for path in files for name in written(path.read_text("utf-8"))
    }
    assert found == set(REASONS)


@pytest.mark.parametrize(
    "source",
    [
        "open(path, 'w')",
        "path.open(mode='ab')",
        "gzip.open(path, 'xb')",
        "os.open(path, os.O_WRONLY | os.O_CREAT)",
        "Path(name).write_text('')",
        "frame.write_parquet(path)",
        "polars.DataFrame(columns).write_csv(folder / 'x.csv')",
        "np.save(path, values)",
        "figure.savefig(path)",
        "history.to_parquet(path)",
        "with path.open('r+b') as file:\n    file.write(b'')",
    ],
)
def test_other_writers_are_seen(source: str) -> None:
    assert len(list(written(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "open(path)",
        "path.open('rb')",
        "path.open(newline='', encoding='utf-8')",
        "engine.open(make, numbers=2)",
        "os.open(folder, os.O_RDONLY)",
        "buffer = io.BytesIO()\nframe.write_parquet(buffer)",
        "with writing(path) as file:\n    frame.write_parquet(file)",
        "write_table(path, columns, {})",
    ],
)
def test_reading_and_writing_to_memory_are_let_be(source: str) -> None:
    assert list(written(source)) == []
