"""`labels.json` in a search's folder: which examples people were asked for, and their labels so far.

People may edit it. So every label has a checksum of its own, and what was asked has one: a label that was
changed by hand is accepted only after somebody has confirmed it. Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from headrace import ids as example_ids
from headrace.errors import DamagedError, InputError
from headrace.files import write_whole
from headrace.ids import Id, Ids
from headrace.records import Record, first_finding
from headrace.store.strict_json import parsed

ACCEPT = "--accept-labels"


class Book(Record):
    """What was asked and answered.

    Attributes:
        format: 2, or 1 of a file without checksums, which named examples by Headrace's own indices.
        checksum: Of the training set; empty if it was not recorded.
        ids: Checksum of the ids of its examples; empty if their indices are their names.
        classes: The classes' names, in the order of their numbers.
        asked: Every example that people were ever asked for, by its id.
        labels: Example -> class number.
    """

    format: Literal[1, 2] = 2
    checksum: str = ""
    ids: str = ""
    classes: tuple[str, ...] = ()
    asked: tuple[Id, ...] = ()
    labels: dict[Id, int] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, *, accept: bool = False) -> Book:
        """The book at `path`; an empty one if there is none.

        Args:
            path: The file.
            accept: Whether labels that were changed by hand are accepted.

        Raises:
            DamagedError: The file is not a book of labels, or holds labels that were changed.
        """
        if not path.is_file():
            return cls()
        try:
            content = parsed(path.read_text(encoding="utf-8"))
            sums = content.pop("checksums", {})
            head = content.pop("sha256", None)
            book = cls.model_validate(_with_names(content))
            _check_numbers(book)
            if book.format == 1 and (sums or head):
                raise ValueError("files of format 1 have no checksums")
        except (ValidationError, ValueError, AttributeError, TypeError, OSError) as error:
            raise _damaged(path, error) from None
        if not accept and book.format > 1:
            _check_unchanged(book, head, sums, path)
        return book

    def of_data(
        self,
        checksum: str,
        classes: Sequence[str],
        path: Path,
        ids: Ids | None = None,
        *,
        accept: bool = False,
    ) -> Book:
        """This book, if its labels are of this training set.

        Args:
            checksum: Of the training set.
            classes: The classes' names.
            path: The book's, for the message.
            ids: What the examples are called; None: their indices.
            accept: Whether labels of a file without ids were given for Headrace's own indices.

        Raises:
            InputError: They belong to another training set, or that cannot be decided.
        """
        mine, given = (self.checksum, self.classes), (checksum, tuple(classes))
        if self.checksum and mine != given:
            raise InputError(
                "these labels were given for another training set, or for other classes",
                where=str(path),
                fix="Give another folder with --out, or the workload that was labelled.",
            )
        called = _digest(ids)
        book = self if self.format > 1 else self._renamed(ids, path, accept=accept)
        if book.asked and book.format > 1 and book.ids != called:
            raise InputError(
                "these labels were given when the examples had other ids",
                where=str(path),
                fix="Give the workload the ids that were labelled, or another folder with --out.",
            )
        return book.model_copy(
            update={"format": 2, "checksum": checksum, "ids": called, "classes": tuple(classes)}
        )

    def _renamed(self, ids: Ids | None, path: Path, *, accept: bool) -> Book:
        """The book of an older file, whose names are indices, with the ids of these examples."""
        if ids is None or not self.asked:
            return self
        if self.labels and not accept:
            raise InputError(
                "these labels are from before examples had ids: they belong to Headrace's own indices, and "
                "annotators who took these for rows of the data have labelled other examples",
                where=str(path),
                fix=f"If the annotators saw examples of load_workload(...).train, say so with {ACCEPT}. If "
                "not, move the file away and have the examples labelled again.",
            )
        asked, known = ([int(index) for index in some] for some in (self.asked, self.labels))
        if max(asked) >= len(ids):
            raise _damaged(path, "an index is beyond the training set")
        return self.model_copy(
            update={
                "asked": tuple(example_ids.name(ids, index) for index in asked),
                "labels": {example_ids.name(ids, index): self.labels[index] for index in known},
            }
        )

    def save(self, path: Path) -> None:
        """Write it, whole."""
        plain = self.model_dump(mode="json", exclude={"labels"}) | {"format": 2}
        labels = {str(name): number for name, number in self.labels.items()}
        sums = {str(name): _sum_of(self, name, number) for name, number in self.labels.items()}
        body = plain | {"sha256": _head(self), "labels": labels, "checksums": sums}
        write_whole(path, json.dumps(body, indent=1, ensure_ascii=False).encode())

    def missing(self, names: Iterable[Id]) -> list[Id]:
        """Those of `names` that have no label."""
        return [name for name in names if name not in self.labels]


def _digest(ids: Ids | None) -> str:
    return "" if ids is None else hashlib.sha256(json.dumps(ids.tolist()).encode()).hexdigest()


def _with_names(content: dict[str, Any]) -> dict[str, Any]:
    """The content with its labels by the names that were asked for: keys of JSON are texts.

    Raises:
        ValueError: A label is of an example that nobody was asked for.
    """
    asked = {str(name): name for name in content.get("asked", ())}
    unknown = [key for key in content.get("labels", {}) if key not in asked]
    if unknown:
        raise ValueError(f"nobody was asked for the example {unknown[0]!r}")
    return content | {"labels": {asked[key]: number for key, number in content.get("labels", {}).items()}}


def _check_numbers(book: Book) -> None:
    classes = len(book.classes)
    for name, number in book.labels.items():
        if not 0 <= number < classes and (number < 0 or classes):
            raise ValueError(f"the label of {name!r} must be a class number below {classes}, not {number}")


def _check_unchanged(book: Book, head: object, sums: dict[str, str], path: Path) -> None:
    """Refuse labels, and questions, that were changed by hand."""
    changed = [
        str(name)
        for name, number in book.labels.items()
        if sums.get(str(name)) != _sum_of(book, name, number)
    ]
    if not changed and head == _head(book):
        return
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    what = f"the label of {', '.join(changed[:3])}{more}" if changed else "what was asked for"
    raise DamagedError(
        f"{what} was changed outside of Headrace, or the file is damaged",
        where=str(path),
        fix=f"If the change is intended, give the same command with {ACCEPT}. If not, put back a copy; or "
        'take the line of such a label out of "labels" and give its answer again.',
    )


def _head(book: Book) -> str:
    """The checksum of everything except the labels."""
    plain = book.model_dump(mode="json", exclude={"labels", "format"})
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _sum_of(book: Book, name: Id, number: int) -> str:
    """The checksum of one label and the example that it belongs to."""
    told = [book.checksum, book.ids, list(book.classes), name, number]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _damaged(path: Path, reason: object) -> DamagedError:
    why = first_finding(reason) if isinstance(reason, ValidationError) else reason
    return DamagedError(
        f"is truncated, or is not a file of labels that Headrace wrote ({why})",
        where=str(path),
        fix="Put back a copy; or move it away, run once, and give every answers file again.",
    )
