"""Labels that people give: what they are asked, as Label Studio imports it, and what their answers mean.

An example is named by its id, see `headrace.ids`. `labels.json` in the search's folder keeps what was asked
and answered, see `book`. Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headrace.csv_cells import csv_text
from headrace.errors import InputError, InputErrors
from headrace.files import write_whole
from headrace.ids import Id
from headrace.search.answers import INDEX, LABEL_COLUMNS, MARK, Answer, answers_of
from headrace.search.lookup import Lookup, hard_to_find, plain
from headrace.search.studio import CONTROL
from headrace.store.labels import Book
from headrace.store.outcome import Waiting

__all__ = ["Book", "Show", "Waiting", "ask", "check_names", "mark_of", "take_answers"]

Show = Callable[[Any], Mapping[str, Any]]
"""An example's id -> what the annotator is shown, for example `{"image": "https://..."}`."""
TAKEN = (INDEX, MARK, *LABEL_COLUMNS, "annotations", "data")
"""Keys that answers need for themselves."""


def mark_of(book: Book) -> str:
    """A mark of who has asked: questions carry it, so that answers to another search are found out."""
    asker = [book.checksum, book.ids, list(book.classes)]
    return hashlib.sha256(json.dumps(asker).encode()).hexdigest()[:12]


def check_names(names: Sequence[Id], classes: Sequence[str]) -> None:
    """Check that ids and classes come back from spreadsheets and annotators' tools as they went out.

    Args:
        names: What the examples are called.
        classes: The classes' names.

    Raises:
        InputErrors: They may not.
    """
    kinds = {"the ids of the examples": names, "the classes": classes}
    errors = [
        InputError(f"people could not answer: {reason}", where=kind, fix="Choose other names.")
        for kind, some in kinds.items()
        for reason in hard_to_find(some)
    ]
    if errors:
        raise InputErrors(errors, where="search.oracle = 'people'")


def ask(folder: Path, name: str, asked: Sequence[Id], show: Show | None, mark: str = "") -> tuple[Path, ...]:
    """Write the questions: `NAME.json` (Label Studio's tasks) and `NAME.csv`; `index` is the example's id.

    Args:
        folder: Where to.
        name: Of the files.
        asked: The ids of the examples whose labels are missing.
        show: What the annotator is shown; only the id where it is None.
        mark: Who has asked, see `mark_of`.

    Raises:
        InputError: `show` raises, or returns something else than a mapping of texts and numbers.
    """
    by = {MARK: mark} if mark else {}
    rows = [{INDEX: one} | (_shown(show, one) if show else {}) | by for one in asked]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = csv_text(columns, ([row.get(column) for column in columns] for row in rows), line_end="\r\n")
    paths = folder / f"{name}.json", folder / f"{name}.csv"
    tasks = [{"data": row} for row in rows]
    write_whole(paths[0], json.dumps(tasks, indent=1, ensure_ascii=False).encode())
    write_whole(paths[1], table.encode())
    return paths


def _shown(show: Show, name: Id) -> dict[str, Any]:
    try:
        shown = show(name)
        details = {str(key): value for key, value in shown.items()}
        json.dumps(details, ensure_ascii=False, allow_nan=False).encode()
    except Exception as error:
        raise InputError(
            f"the function raised or returned what cannot be written ({type(error).__name__}: {error})",
            where="search.show",
            got=name,
            fix="Return a dictionary of texts and numbers.",
        ) from error
    for key in TAKEN:
        if key in details:
            what = f"the key {key!r} has a meaning in answers"
            raise InputError(what, where="search.show", fix="Rename it.")
    return details


def take_answers(book: Book, path: str | Path, classes: Sequence[str]) -> Book:
    """The book with the answers of a file: CSV, JSON or JSON lines, such as Label Studio exports.

    An answer without a label is none yet. An answer that is in the book already may come again.

    Args:
        book: What was asked; not altered.
        path: `.csv` with the columns `index` and `label` (or `choice`), `.json` (Label Studio's JSON or
            JSON-MIN), or `.jsonl` with one such object a line.
        classes: The classes' names, in the order of their numbers.

    Raises:
        InputErrors: Everything that is wrong with the file; then nothing of it is taken.
        InputError: It cannot be read, or holds no rows, or no label but results of other controls.
    """
    taking = _Taking(book, classes)
    errors: list[InputError] = []
    others: set[str] = set()
    rows = labelled = 0
    for row in answers_of(Path(path)):
        rows += 1
        if isinstance(row, InputError):
            errors.append(row)
            continue
        others |= row.others
        labelled += bool(row.labels)
        try:
            taking.take(row)
        except InputError as error:
            errors.append(error)
    if errors:
        raise InputErrors(errors, where=str(path))
    if not rows:
        raise InputError("there are no answers in this file", where=str(path), fix="Export them again.")
    if others and not labelled:
        raise InputError(
            f"the file has no answer of the control {CONTROL!r}",
            where=str(path),
            got=f"answers of {', '.join(sorted(others))}",
            fix=f"Name the Choices control that holds the class {CONTROL!r} (from_name in the file).",
        )
    return book.model_copy(update={"labels": taking.labels})


class _Taking:
    """A book's labels while answers are added; names in answers are found by what they mean."""

    def __init__(self, book: Book, classes: Sequence[str]) -> None:
        self.labels = dict(book.labels)
        self._asked, self._examples = book.asked, Lookup(book.asked)
        self._classes, self._numbers = classes, Lookup(classes)
        self._mark = mark_of(book)
        self._places: dict[Id, str] = {}

    def take(self, answer: Answer) -> None:
        """Add one answer.

        Raises:
            InputError: It does not belong here, or contradicts another.
        """
        example = self._example(answer)
        labels = list(dict.fromkeys(self._label(label, answer.place) for label in answer.labels))
        if len(labels) > 1:
            raise InputError(
                f"there are several labels for example {example}",
                where=answer.place,
                got=sorted(self._classes[label] for label in labels),
                fix="Leave one of them, and cancel or remove the others.",
            )
        for label in labels:
            self._add(example, label, answer.place)

    def _example(self, answer: Answer) -> Id:
        where, given = answer.place, answer.index
        if answer.mark not in (None, self._mark):
            raise InputError(
                "this is the answer to a question of another search, or of other data",
                where=where,
                got=given,
                fix="Give the answers to this search.",
            )
        place = self._examples.find(given)
        if place is not None:
            return self._asked[place]
        text, numbers = plain(given) or "", all(isinstance(name, int) for name in self._asked)
        whole = text.isascii() and text.removeprefix("-").isdecimal()
        what = "this example was not asked for"
        if not text or (numbers and not whole):
            what = "there is no example's index"
        raise InputError(
            what,
            where=where,
            got=int(text) if numbers and whole and len(text) < 20 else given,
            fix=self._examples.near(given) or "Give the answers to this search.",
        )

    def _label(self, label: Any, where: str) -> int:
        number = self._numbers.find(label)
        if number is None:
            known = ", ".join(self._classes[:20])
            advice = self._numbers.near(label) or f"The classes are {known}."
            raise InputError("unknown class", where=where, got=label, fix=advice)
        return number

    def _add(self, example: Id, label: int, place: str) -> None:
        before = self.labels.setdefault(example, label)
        earlier = self._places.setdefault(example, place)
        if before == label:
            return
        fix = f'To correct it, take "{example}" out of labels.json: what rests on it is done again.'
        if earlier != place:
            fix = f"{earlier[0].upper()}{earlier[1:]} says otherwise: leave one of the two."
        raise InputError(
            f"example {example} was labelled {self._classes[before]!r} before",
            where=place,
            got=self._classes[label],
            fix=fix,
        )
