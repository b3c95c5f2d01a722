"""People as the oracle of a search: what was asked and answered so far, and what is asked next."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headrace import files, ids
from headrace.errors import InputError
from headrace.search.memo import Works
from headrace.search.oracle import Book, Show, ask, check_names, mark_of, take_answers
from headrace.store.labels import ACCEPT
from headrace.store.outcome import Waiting


def people_of(works: Works, answers: str | Path | None, *, accept: bool) -> People | None:
    """The people who label, with their answers taken; None where nobody does.

    Args:
        works: The search's folder.
        answers: A file of theirs, or None.
        accept: Whether labels that were changed by hand are meant.

    Raises:
        InputError: Nobody labels, and there are answers, or labels to accept.
    """
    if works.spec.search.oracle == "people":
        people = People(works, accept=accept)
        if answers is not None:
            people.take(answers)
        return people
    if answers is not None:
        raise InputError("answers are taken with search.oracle = 'people' only", where=str(answers))
    if accept:
        raise InputError("has an effect with search.oracle = 'people' only", where=ACCEPT)
    return None


class People:
    """The oracle.

    Args:
        works: The search's folder, and what its examples are called.
        accept: Whether labels that were changed by hand are meant; they are sealed anew.

    Raises:
        DamagedError: `labels.json` was altered.
        InputError: Its labels are of other data, or names could not come back from answers.
    """

    def __init__(self, works: Works, *, accept: bool = False) -> None:
        self._works = works
        self._path = works.directory / "labels.json"
        facts = works.facts
        check_names(ids.names(works.ids, np.arange(facts.examples)), facts.classes)
        there = Book.load(self._path, accept=accept)
        self._book = there.of_data(facts.checksum, facts.classes, self._path, works.ids, accept=accept)
        if accept:
            self._book.save(self._path)

    def take(self, answers: str | Path) -> None:
        """Store what they answered.

        Raises:
            InputError: Something in the file is wrong; then nothing of it is stored.
        """
        self._keep(take_answers(self._book, answers, self._works.facts.classes))

    def labels(self, indices: np.ndarray, place: int) -> np.ndarray | Waiting:
        """The labels of these examples; or, where some are missing, what is asked in round `place`."""
        folder, name = self._works.directory / "label", f"round-{place}"
        names = ids.names(self._works.ids, indices)
        missing = self._book.missing(names)
        if not missing:
            for path in folder.glob(f"{name}.*"):
                files.remove(path)
            return np.array([self._book.labels[one] for one in names], dtype=np.int64)
        asked = tuple(sorted({*self._book.asked, *missing}))
        self._keep(self._book.model_copy(update={"asked": asked}))
        tasks = ask(folder, name, missing, self._show(), mark_of(self._book))
        return Waiting(missing=len(missing), tasks=tasks)

    def _keep(self, book: Book) -> None:
        self._book = book
        book.save(self._path)

    def _show(self) -> Show | None:
        from headrace.workloads.registry import find_function

        show = self._works.spec.search.show
        return find_function(show) if show else None
