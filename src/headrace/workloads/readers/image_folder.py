"""A folder of pictures, one subfolder a class: the form that torchvision's `ImageFolder` reads."""

from __future__ import annotations

from pathlib import Path

import torch

from headrace.errors import InputError
from headrace.ids import checked
from headrace.workloads.labelled import Labelled
from headrace.workloads.readers.pictures import SUFFIXES, Mode, stack_pictures


def read_image_folder(
    folder: Path | str,
    *,
    mode: Mode = "RGB",
    size: tuple[int, int] | None = None,
    classes: tuple[str, ...] | None = None,
) -> Labelled:
    """Read `folder/<class>/<picture>`; the classes are numbered in the order of their names.

    Args:
        folder: Holds one subfolder a class; hidden ones are passed over.
        mode: "L" for grey, "RGB" for colour.
        size: (height, width) to which every picture is scaled; needed where they differ.
        classes: The classes that there must be, for example those of the training part, whose numbers
            are then kept; None takes those that are there.

    Returns:
        Images uint8 [examples channels height width], sorted by class, then by file name; their ids are their
        paths relative to `folder`.

    Raises:
        InputError: No folder, no classes, other classes than asked for, a class without pictures, or one
            that cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("there is no such folder", where=str(folder))
    found = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != "."))
    if not found:
        raise InputError("the folder has no subfolders; one a class is needed", where=str(folder))
    if classes is not None and (unknown := sorted(set(found) - set(classes))):
        raise InputError(f"the training part has no class {', '.join(unknown)}", where=str(folder))
    classes = classes or found
    files = [(path, number) for number, name in enumerate(classes) for path in _pictures(folder / name)]
    return Labelled(
        inputs=stack_pictures([(str(path), path) for path, _ in files], mode=mode, size=size),
        targets=torch.tensor([number for _, number in files]),
        classes=classes,
        ids=checked([_path(path, folder) for path, _ in files], len(files), where=str(folder)),
    )


def _path(path: Path, folder: Path) -> str:
    """Relative and with `/`; bytes of a name that are no UTF-8 are written out."""
    return path.relative_to(folder).as_posix().encode("utf-8", "backslashreplace").decode()


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise InputError(
            "the class has no pictures", where=str(folder), fix=f"Read are {' '.join(sorted(SUFFIXES))}."
        )
    return found
