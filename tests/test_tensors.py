"""Safetensors files with a seal: as any reader of the format sees them, and refused when altered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from headrace import EnsembleStatistics, History
from headrace.errors import DamagedError, InputError
from headrace.tensors import checkpoint, read, read_checkpoint, write

TENSORS = {
    "odd": torch.arange(3, dtype=torch.uint8),
    "wide": torch.randn(4, 3, dtype=torch.float64).T,
    "scalar": torch.tensor(7),
    "half": torch.randn(5).to(torch.bfloat16),
    "none": torch.empty(0, 3),
    "flags": torch.tensor([True, False]),
}


def test_the_files_are_those_of_the_format(tmp_path: Path) -> None:
    write(tmp_path / "x", "kind", TENSORS, {"a": [1, None]})
    found = load_file(tmp_path / "x")
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], value) for name, value in TENSORS.items())
    with safe_open(tmp_path / "x", framework="pt") as file:
        assert json.loads(file.metadata()["kind"]) == {"a": [1, None]}
    again, about, sealed = read(tmp_path / "x", "kind", "a thing")
    assert all(torch.equal(again[name], value) for name, value in TENSORS.items())
    assert (about, sealed) == ({"a": [1, None]}, True)


def test_a_checkpoint_is_checked_if_it_was_sealed(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    save_file(model.state_dict(), tmp_path / "theirs")
    (tmp_path / "ours").write_bytes(checkpoint(model.state_dict()))
    for name in ("ours", "theirs"):
        assert torch.equal(read_checkpoint(tmp_path / name)["weight"], model.weight)
    content = bytearray((tmp_path / "ours").read_bytes())
    content[-1] ^= 1
    (tmp_path / "ours").write_bytes(content)
    with pytest.raises(DamagedError, match="do not match their checksum"):
        read_checkpoint(tmp_path / "ours")


def _history(path: Path) -> Callable[[], object]:
    history = History(6, window=3, fingerprint="f" * 64)
    history.record(torch.arange(6), torch.randn(6, 3), torch.arange(6) % 3)
    history.save(path)
    return lambda: {k: str(v) for k, v in History.load(path).state_dict().items()}


def _statistics(path: Path) -> Callable[[], object]:
    statistics = EnsembleStatistics(6, 30)
    statistics.add_member(0, torch.rand(6, 30).softmax(1), torch.arange(6), member="a")
    statistics.save(path)
    return lambda: str(EnsembleStatistics.load(path).state_dict())


@pytest.mark.parametrize("make", [_history, _statistics])
def test_an_altered_file_is_refused_or_says_the_same(tmp_path: Path, make: Callable) -> None:
    """Bytes changed, removed and added anywhere: refused by name, never another content or a traceback."""
    path = tmp_path / "x"
    load = make(path)
    whole, before, random = path.read_bytes(), load(), Random(0)
    refused = 0
    for _ in range(300):
        at, added = random.randrange(len(whole)), random.choice((0, 1, 1, 1, 8))
        removed = random.choice((added, added, 1))
        path.write_bytes(whole[:at] + random.randbytes(added) + whole[at + removed :])
        try:
            assert load() == before
        except InputError:  # and so DamagedError
            refused += 1
    assert refused > 200


def _contents(path: Path) -> tuple[str, dict, dict]:
    """A file's kind, its header and its tensors."""
    with safe_open(path, framework="pt") as file:
        ((kind, text),) = ((k, v) for k, v in file.metadata().items() if k != "sha256")
        return kind, json.loads(text), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _write_older(path: Path, kind: str, about: dict, tensors: dict) -> None:
    """As it was written before there were seals."""
    if kind == "headrace.history":
        table = tensors.get("table", torch.zeros(1))
        about = {"checksum": hashlib.sha256(table.numpy().data).hexdigest()} | about
    save_file(tensors, path, metadata={kind: json.dumps(about)})


VALUES = (None, True, -1, 0, 1, 5, 7, 10**12, 10**30, 0.5, 2.5, float("nan"), "x", [], [[0]], {"a": [[0, 9]]})
FREE = {"num_classes", "fingerprint", "coverage", "multilabel"}
"""What an older file does not hold twice."""


@pytest.mark.parametrize("make", [_history, _statistics])
def test_an_older_file_is_read_and_its_altered_header_refused(tmp_path: Path, make: Callable) -> None:
    path = tmp_path / "x"
    load = make(path)
    before = load()
    kind, about, tensors = _contents(path)
    _write_older(path, kind, about, tensors)
    assert load() == before
    rest = {key: {k: v for k, v in about.items() if k != key} for key in about}
    altered = [(key, others | {key: value}) for key, others in rest.items() for value in VALUES]
    altered += [*rest.items(), ("unknown", about | {"unknown": 1}), ("checksum", about | {"checksum": 3})]
    refused = 0
    for key, header in altered:
        _write_older(path, kind, header, tensors)
        try:
            found = load()
            assert key in FREE or header == about or found == before
        except InputError:
            refused += 1
    assert refused > 60


CHANGES = {
    "cut": lambda value: value[:1].clone(),
    "of another type": lambda value: value.half() if value.is_floating_point() else value.float(),
    "of another shape": lambda value: value.unsqueeze(0),
}


@pytest.mark.parametrize("make", [_history, _statistics])
@pytest.mark.parametrize("change", [*CHANGES, "renamed"])
def test_tensors_that_do_not_fit_the_header_are_refused(tmp_path: Path, make: Callable, change: str) -> None:
    path = tmp_path / "x"
    load = make(path)
    kind, about, tensors = _contents(path)
    for name in tensors:
        others = {key: value for key, value in tensors.items() if key != name}
        there = {"other": tensors[name]} if change == "renamed" else {name: CHANGES[change](tensors[name])}
        _write_older(path, kind, about, others | there)
        with pytest.raises(InputError):
            load()
