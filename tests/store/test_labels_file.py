"""`labels.json`: a label that another hand has changed is taken only after somebody said that it is meant."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.errors import DamagedError, InputError
from headrace.store.labels import Book

CLASSES = ("red", "green")


def saved(tmp_path: Path) -> Path:
    path = tmp_path / "labels.json"
    Book(checksum="inputs:a", classes=CLASSES, asked=(3, 5, 8), labels={3: 0, 8: 1}).save(path)
    return path


def edited(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_what_was_saved_is_what_is_read(tmp_path: Path) -> None:
    assert Book.load(saved(tmp_path)).labels == {3: 0, 8: 1}
    assert Book.load(tmp_path / "none.json") == Book()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda c: c["labels"].update({"8": 0}), "the label of 8 was changed"),
        (lambda c: c["labels"].update({"5": 1}), "the label of 5 was changed"),
        (lambda c: c["labels"].update({"3": 1, "5": 0}), "the label of 3, 5 was changed"),
        (lambda c: c["checksums"].pop("3"), "the label of 3 was changed"),
        (lambda c: c.update(asked=[3, 5, 8, 9]), "what was asked for was changed"),
        (lambda c: c.pop("sha256"), "what was asked for was changed"),
    ],
)
def test_a_changed_label_is_refused_until_it_is_meant(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], what: str
) -> None:
    path = saved(tmp_path)
    edited(path, change)
    with pytest.raises(DamagedError, match=f"{what} outside of Headrace.*--accept-labels"):
        Book.load(path)
    meant = Book.load(path, accept=True)
    assert {str(name): number for name, number in meant.labels.items()} == json.loads(path.read_text())[
        "labels"
    ]
    meant.save(path)
    assert Book.load(path) == meant


def test_a_label_that_was_taken_out_is_asked_for_again(tmp_path: Path) -> None:
    path = saved(tmp_path)
    edited(path, lambda content: content["labels"].pop("3"))
    assert Book.load(path).missing([3, 8]) == [3]


def test_no_altered_byte_is_taken(tmp_path: Path) -> None:
    path = saved(tmp_path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    before = Book.load(path)
    for place, bit in zip(rng.integers(0, len(whole), 400), rng.integers(0, 7, 400), strict=True):
        altered = bytearray(whole)
        altered[place] ^= 1 << int(bit)
        path.write_bytes(altered)
        try:
            found = Book.load(path)
        except DamagedError:
            continue
        # A checksum's name may be altered where no label needs it, and white space means nothing.
        assert found == before


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda c: c["labels"].update({"3": 2}), "must be a class number below 2, not 2"),
        (lambda c: c["labels"].update({"3": -1}), "must be a class number below 2, not -1"),
        (lambda c: c["labels"].update({"9": 1}), "nobody was asked for the example '9'"),
        (lambda c: c.update(format=1), "files of format 1 have no checksums"),
        (lambda c: c.update(labels=[1]), "not a file of labels"),
        (lambda c: c.clear() or c.update(format=3), "not a file of labels"),
    ],
)
def test_no_label_that_cannot_be_one_is_ever_taken(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], what: str
) -> None:
    path = saved(tmp_path)
    edited(path, change)
    for accept in (False, True):
        with pytest.raises(DamagedError, match=what):
            Book.load(path, accept=accept)


@pytest.mark.parametrize("content", ["", "{}x", "[]", "null", "3", "[" * 100_000, '{"a": 1, "a": 2}', "\xff"])
def test_hostile_contents_end_in_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(DamagedError, match="not a file of labels that Headrace wrote"):
        Book.load(path)


def older(tmp_path: Path) -> Path:
    """As it was written before examples had ids."""
    path = tmp_path / "labels.json"
    content = {"format": 1, "checksum": "inputs:a", "classes": CLASSES, "asked": [0, 2], "labels": {"2": 1}}
    path.write_text(json.dumps(content))
    return path


def test_an_older_file_of_data_without_ids_is_read_on(tmp_path: Path) -> None:
    path = older(tmp_path)
    book = Book.load(path).of_data("inputs:a", CLASSES, path)
    assert (book.labels, book.asked, book.format) == ({2: 1}, (0, 2), 2)
    book.save(path)
    assert Book.load(path) == book


def test_labels_of_headraces_own_indices_are_not_taken_for_those_of_rows(tmp_path: Path) -> None:
    path, ids = older(tmp_path), np.array([40, 10, 30])
    with pytest.raises(InputError, match=r"belong to Headrace's own indices.*--accept-labels"):
        Book.load(path).of_data("inputs:a", CLASSES, path, ids)
    meant = Book.load(path, accept=True).of_data("inputs:a", CLASSES, path, ids, accept=True)
    assert (meant.labels, meant.asked) == ({30: 1}, (40, 30))


def test_labels_given_under_other_ids_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    ids = np.array(["a", "b"], dtype=object)
    Book(classes=CLASSES, asked=("a",)).of_data("inputs:a", CLASSES, path, None).save(path)
    with pytest.raises(InputError, match="when the examples had other ids"):
        Book.load(path).of_data("inputs:a", CLASSES, path, ids)
