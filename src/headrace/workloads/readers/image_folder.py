"""A folder of pictures, one subfolder a class: the form that torchvision's `ImageFolder` reads."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import torch

from headrace.errors import InputError
from headrace.ids import checked
from headrace.workloads.labelled import Labelled
from headrace.workloads.readers.pictures import SUFFIXES, UNREAD_SUFFIXES, Mode, stack_pictures

STRAY = frozenset(
    {"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
)
"""Folders that systems leave behind, with copies or thumbnails of pictures; passed over at any depth."""


def read_image_folder(
    folder: Path | str,
    *,
    mode: Mode = "RGB",
    size: tuple[int, int] | None = None,
    classes: tuple[str, ...] | None = None,
) -> Labelled:
    """Read `folder/<class>/.../<picture>`; the classes are numbered in the order of their names.

    Passed over at any depth is what is hidden (names that begin with a dot), what systems leave behind
    (`STRAY`), and files that are not pictures by their suffix. Linked folders are followed.

    Args:
        folder: Holds one subfolder per class.
        mode: "L" for grey, "RGB" for colour.
        size: (height, width) to which every picture is scaled; needed where they differ.
        classes: The classes that there must be, for example those of the training part, whose numbers
            are then kept; None takes those that are there.

    Returns:
        Images uint8 [examples channels height width], sorted by class, then by file name; their ids are their
        paths relative to `folder`.

    Raises:
        InputError: No folder, no classes, other classes than asked for, a class without pictures or with
            pictures of a kind that is not read, or a picture that cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("the folder does not exist", where=str(folder), fix="Check the path.")
    places = {_composed(path.name): path for path in _entries(folder) if path.is_dir()}
    found = tuple(sorted(places))
    if not found:
        fix = "Put the pictures of each class into a folder of its name; move others elsewhere."
        raise InputError("the folder has no subfolders; one per class is needed", where=str(folder), fix=fix)
    if classes is not None and (unknown := sorted(set(found) - set(classes))):
        raise InputError(f"the training part has no class {', '.join(unknown)}", where=str(folder))
    classes = classes or found
    files = [
        (path, number)
        for number, name in enumerate(classes)
        if name in places
        for path in _pictures(places[name])
    ]
    return Labelled(
        inputs=stack_pictures([(str(path), path) for path, _ in files], mode=mode, size=size),
        targets=torch.tensor([number for _, number in files]),
        classes=classes,
        ids=checked([_path(path, folder) for path, _ in files], len(files), where=str(folder)),
    )


def _path(path: Path, folder: Path) -> str:
    """Relative and with `/`; bytes of a name that are not UTF-8 are written out."""
    return path.relative_to(folder).as_posix().encode("utf-8", "backslashreplace").decode()


def _composed(name: str) -> str:
    """The name as most file systems keep it: some take accents apart, and the order with them."""
    return unicodedata.normalize("NFC", name)


def is_stray(path: Path) -> bool:
    """Whether an entry does not belong to the data set: hidden, or left behind by a system."""
    return path.name.startswith(".") or path.name in STRAY


def _pictures(folder: Path) -> list[Path]:
    """The pictures of a class, in its folder and at any depth below it."""
    files = list(_files(folder, ()))
    unread = sorted(path for path in files if path.suffix.lower() in UNREAD_SUFFIXES)
    if unread:
        raise InputError(
            f"{len(unread)} files of the class are of a kind that is not read",
            where=str(unread[0]),
            fix=f"Convert them, or take them out of the folder. Read are {' '.join(sorted(SUFFIXES))}.",
        )
    found = [path for path in files if path.suffix.lower() in SUFFIXES]
    if not found:
        raise InputError(
            "the class has no pictures",
            where=str(folder),
            fix=f"Known: {' '.join(sorted(SUFFIXES))}. Move a folder that is not a class elsewhere.",
        )
    return sorted(found, key=lambda path: tuple(map(_composed, path.parts)))


def _files(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """All files below a folder; linked folders are followed, as torchvision does."""
    real = folder.resolve()
    if real in above:
        raise InputError("the link leads to a folder above itself", where=str(folder), fix="Remove the link.")
    for path in _entries(folder):
        if path.is_dir():
            yield from _files(path, (*above, real))
        elif path.is_file():
            yield path


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, without what is passed over; a link that leads nowhere is refused."""
    try:
        found = [path for path in folder.iterdir() if not is_stray(path)]
    except OSError as error:
        raise InputError(f"the folder cannot be read: {error.strerror}", where=str(folder)) from error
    broken = next((path for path in found if not path.exists()), None)
    if broken is not None:
        raise InputError(
            "the link leads nowhere", where=str(broken), fix="Restore what it led to, or remove it."
        )
    return found
