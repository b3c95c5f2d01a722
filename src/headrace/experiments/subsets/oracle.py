"""Labels that people give: what they are asked, as Label Studio imports it, and their answers.

`labels.json` in the search's folder holds which examples were asked for, and the answers so far. Imports no
torch.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from pydantic import Field, ValidationError

from headrace.errors import DamagedError, InputError, InputErrors
from headrace.experiments.files import write_whole
from headrace.experiments.records import Record

Show = Callable[[int], Mapping[str, Any]]
"""An example's index -> what the annotator is shown, for example `{"image": "https://..."}`."""
_MOST_ERRORS = 20
_LABEL_COLUMNS = ("label", "choice", "choices")


class Book(Record):
    """What was asked and answered.

    Attributes:
        checksum: Of the training set; empty where it is not known.
        classes: The classes' names, in the order of their numbers.
        asked: Every example that people were ever asked for.
        labels: Example -> class number.
    """

    format: int = 1
    checksum: str = ""
    classes: tuple[str, ...] = ()
    asked: tuple[int, ...] = ()
    labels: dict[int, int] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Book:
        """The book at `path`; an empty one where there is none.

        Raises:
            DamagedError: The file is not such a book.
        """
        if not path.is_file():
            return cls()
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise DamagedError(
                f"no book of labels ({error.errors()[0]['msg']})",
                where=str(path),
                fix="Put back a copy; or move it away, run once, and give every answers file again.",
            ) from None

    def of_data(self, checksum: str, classes: Sequence[str], path: Path) -> Book:
        """This book, if its labels are of this training set.

        Args:
            checksum: Of the training set.
            classes: The classes' names.
            path: The book's, for the message.

        Raises:
            InputError: They are of another.
        """
        mine, given = (self.checksum, self.classes), (checksum, tuple(classes))
        if self.checksum and mine != given:
            raise InputError(
                "these labels were given for another training set, or for other classes",
                where=str(path),
                fix="Give another folder with --out, or the workload that was labelled.",
            )
        return self.model_copy(update={"checksum": checksum, "classes": tuple(classes)})

    def save(self, path: Path) -> None:
        """Write it, whole."""
        write_whole(path, self.model_dump_json(indent=1).encode())

    def missing(self, indices: Int64[np.ndarray, " wanted"]) -> list[int]:
        """Those of `indices` that have no label."""
        return [int(index) for index in indices if int(index) not in self.labels]

    def of(self, indices: Int64[np.ndarray, " known"]) -> Int64[np.ndarray, " known"]:
        """The labels of `indices`, which must all be known."""
        return np.array([self.labels[int(index)] for index in indices], dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A search that goes on when people have answered.

    Attributes:
        missing: How many labels are missing.
        tasks: The files with the questions: JSON tasks for Label Studio, and the same as CSV.
    """

    missing: int
    tasks: tuple[Path, ...]


def ask(folder: Path, name: str, indices: Sequence[int], show: Show | None) -> tuple[Path, ...]:
    """Write the questions: `NAME.json` (Label Studio's tasks) and `NAME.csv`, with the column `index`.

    Args:
        folder: Where to.
        name: Of the files.
        indices: The examples whose labels are missing.
        show: What the annotator is shown; only the index where it is None.

    Raises:
        InputError: `show` raises, or returns something else than a mapping of texts and numbers.
    """
    rows = [{"index": index} | (_shown(show, index) if show else {}) for index in indices]
    tasks = [{"data": row} for row in rows]
    table = StringIO(newline="")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(table, columns)
    writer.writeheader()
    writer.writerows(rows)
    paths = folder / f"{name}.json", folder / f"{name}.csv"
    write_whole(paths[0], json.dumps(tasks, indent=1, ensure_ascii=False).encode())
    write_whole(paths[1], table.getvalue().encode())
    return paths


def _shown(show: Show, index: int) -> dict[str, Any]:
    try:
        shown = show(index)
        plain = {str(key): value for key, value in shown.items()}
        json.dumps(plain)
    except Exception as error:
        raise InputError(
            f"the function raised or returned what cannot be written ({type(error).__name__}: {error})",
            where="search.show",
            got=index,
            fix="Return a dictionary of texts and numbers.",
        ) from error
    if "index" in plain:
        raise InputError(
            "the key 'index' is taken by the example's index", where="search.show", fix="Rename it."
        )
    return plain


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
        InputError: It cannot be read, or holds no rows.
    """
    where, numbers = str(path), {name: number for number, name in enumerate(classes)}
    asked, labels = frozenset(book.asked), dict(book.labels)
    errors: list[InputError] = []
    rows = list(_rows(Path(path)))
    for place, row in rows:
        try:
            answer = _answer(row, place)
            if answer is None:
                continue
            index, label = answer
            _check(index, label, place, asked, classes)
        except InputError as error:
            errors.append(error)
            continue
        if labels.setdefault(index, numbers[label]) != numbers[label]:
            before = classes[labels[index]]
            errors.append(
                InputError(
                    f"example {index} was labelled {before!r} before",
                    where=place,
                    got=label,
                    fix=f'To correct it, take "{index}" out of labels.json: what rests on it is done again.',
                )
            )
    if errors:
        raise InputErrors(errors[:_MOST_ERRORS], where=where)
    if not rows:
        raise InputError("there are no answers in this file", where=where, fix="Export them again.")
    return book.model_copy(update={"labels": labels})


def _check(index: int, label: str, place: str, asked: frozenset[int], classes: Sequence[str]) -> None:
    if index not in asked:
        raise InputError(
            "this example was not asked for", where=place, got=index, fix="Import the answers to this search."
        )
    if label not in classes:
        known = ", ".join(classes[:20])
        raise InputError("there is no such class", where=place, got=label, fix=f"The classes are {known}.")


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(place for messages, row) of every answer in the file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError("there is no such file", where=str(path), fix="Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the file cannot be read ({error})", where=str(path)) from None
    match path.suffix.lower():
        case ".csv":
            yield from _table(text, path)
        case ".jsonl":
            lines = [(f"line {n}", line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
            yield from ((place, _object(_json(line, path, place), path, place)) for place, line in lines)
        case ".json":
            tasks = _json(text, path, "")
            for number, task in enumerate(tasks if isinstance(tasks, list) else [tasks], start=1):
                yield f"task {number}", _object(task, path, f"task {number}")
        case _:
            raise InputError("answers are .csv, .json or .jsonl files", where=str(path), got=path.suffix)


def _table(text: str, path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The lines of a CSV file."""
    reader = csv.DictReader(StringIO(text, newline=""))
    # What people were shown may stand in it, such as whole pictures; the limit is the process's.
    limit = csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    try:
        header, rows = reader.fieldnames, [(f"line {reader.line_num}", row) for row in reader]
    except csv.Error as error:
        raise InputError(f"this is not CSV ({error})", where=f"{path}, line {reader.line_num}") from None
    finally:
        csv.field_size_limit(limit)
    if header is not None and "index" not in header:
        raise InputError(
            "there is no column 'index'",
            where=f"{path}, line 1",
            got=",".join(header)[:200],
            fix="Keep the column 'index' of the exported tasks, with commas between the columns.",
        )
    yield from rows


def _json(text: str, path: Path, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f"{path}, {place}" if place else str(path)
        raise InputError(f"this is not JSON ({error})", where=where) from None


def _object(value: Any, path: Path, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError("an answer must be a JSON object", where=f"{path}, {place}", got=value)
    return value


def _answer(row: Mapping[str, Any], place: str) -> tuple[int, str] | None:
    """(index, label) of one row, or None where it has no label yet."""
    data: Any = row.get("data", row)
    index: Any = data.get("index") if isinstance(data, Mapping) else None
    number = _whole_number(index)
    if number is None:
        fix = "Keep the column 'index' of the exported tasks."
        raise InputError("there is no example's index", where=place, got=index, fix=fix)
    found = _studio_labels(row, place) if "annotations" in row else _plain_labels(row, place)
    if len(set(found)) > 1:
        raise InputError(
            f"there are several labels for example {number}", where=place, got=sorted(set(found))
        )
    return (number, found[0]) if found else None


def _whole_number(value: Any) -> int | None:
    """An index, also as text or as the `2.0` that spreadsheets make of it; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
        return int(value) if isinstance(value, int) else int(number) if number.is_integer() else None
    except (ValueError, OverflowError):
        return None


def _plain_labels(row: Mapping[str, Any], place: str) -> list[str]:
    values = [row[column] for column in _LABEL_COLUMNS if column in row]
    if not values:
        raise InputError(
            "there is no 'label' or 'choice'", where=place, fix="Name the column or key 'label'."
        )
    return [str(value) for value in values[:1] if value is not None and str(value) != ""]


def _studio_labels(row: Mapping[str, Any], place: str) -> list[str]:
    """The choices of all annotations of a task in Label Studio's JSON."""
    labels: list[str] = []
    try:
        for annotation in row["annotations"]:
            if not annotation.get("was_cancelled"):
                for result in annotation.get("result", ()):
                    labels += [str(choice) for choice in result.get("value", {}).get("choices", ())]
    except (TypeError, AttributeError):
        fix = "Export as JSON, JSON-MIN or CSV."
        raise InputError(
            "the annotations are not as Label Studio exports them",
            where=place,
            got=row["annotations"],
            fix=fix,
        ) from None
    return labels
