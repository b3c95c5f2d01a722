"""What of two folders must be equal, and what may differ: measured times, the seals over them, sentences."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

TIMES = ("seconds",)
"""Keys of JSON files, and of a Parquet file's metadata, that hold a time that was measured."""


OF_A_PROCESS = ("lock", "progress.json")
"""Files about the process that runs; the second is there only while it does, or after a kill."""


NEW_FIGURES = ("training", "losses")


ADDED = (
    "outcome.json",
    *(f"figures/{name}.{form}" for name in NEW_FIGURES for form in ("svg", "pdf", "png", "csv")),
)
"""Files that later versions add to folders of before: compared only where both versions write them."""


DRAWN_AGAIN = (".pdf", ".png")
"""Forms of a figure that hold what its SVG holds: not stored in the repository."""


PAGES = (".html", ".svg", ".md")


RESULTS = "results.json"
"""The one file of data that holds sentences too."""


EMPTY_SVG = b'<svg viewBox="0 0 1 1"></svg>'
"""What stands for a figure that is not drawn: drawing takes most of a short run's time."""


SAID_ANEW = ("conclusions",)
"""Lists of sentences of which the number changed on purpose: policies and subsets of a search are compared by
pairs of trials, corrected together, so that one sentence for both says what that is worth."""


_SEALS = ("sha256", "headrace.bytes", "ARROW:schema")
"""In a Parquet file's metadata: the last holds all of them once more."""


_TIME = re.compile(rb'"(' + "|".join(TIMES).encode() + rb')"(: ?)-?[\d.]+(?:e-?\d+)?')


_SEAL = re.compile(rb'^\{"sha256":"[0-9a-f]{64}"')
_TOML_SEAL = re.compile(rb"^# sha256: [0-9a-f]{64} [^\n]*\n")


def files(folder: Path) -> dict[str, Path]:
    """Name -> file, without those about a process."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in OF_A_PROCESS)
    return {path.relative_to(folder).as_posix(): path for path in paths}


def contents(folder: Path) -> dict[str, bytes]:
    """Name -> the very bytes, without the files about a process."""
    return {name: path.read_bytes() for name, path in files(folder).items()}


def is_drawn(name: str) -> bool:
    """Whether it is a figure, or a page in which figures stand."""
    return name.endswith((*PAGES, *DRAWN_AGAIN))


def differences(
    old: Path, new: Path, *, but: Callable[[str], bool] = lambda _: False, words: bool = False
) -> list[str]:
    """The files of two folders that differ in more than a measured time, or are in one alone.

    Args:
        old: One.
        new: The other.
        but: Names that are left out.
        words: Whether sentences may differ: pages and figures must then only be there.
    """
    there, here = files(old), files(new)
    added = {name for name in here.keys() - there.keys() if name in ADDED}
    names = [name for name in sorted((there.keys() | here.keys()) - added) if not but(name)]
    return [
        name
        for name in names
        if name not in there
        or name not in here
        or (not (words and is_drawn(name)) and _compared(there[name], words) != _compared(here[name], words))
    ]


def _compared(path: Path, words: bool) -> object:
    content = timeless(path)
    words = words or path.suffix == ".toml"
    return wordless(path.name, content) if words and isinstance(content, bytes) else content


def wordless(name: str, content: bytes) -> bytes:
    """The content of a file; of results.json without its sentences, of which only the number stays.

    Of TOML without its seal: older versions put none on a search's file.
    """
    if name.endswith(".toml"):
        return _TOML_SEAL.sub(b"", content)
    if Path(name).name != RESULTS:
        return content
    return json.dumps(without_sentences(json.loads(content))).encode()


def without_sentences(content: Any) -> Any:
    """What a JSON file holds, its sentences masked: the texts that contain a blank."""
    if isinstance(content, dict):
        return {
            key: "SENTENCES" if key in SAID_ANEW else without_sentences(value)
            for key, value in content.items()
        }
    if isinstance(content, list):
        return [without_sentences(value) for value in content]
    return "SENTENCE" if isinstance(content, str) and " " in content else content


def timeless(path: Path) -> object:
    """A file's bytes; where it holds a measured time, all but that time and the seal that covers it.

    A Parquet file with a time is given by its columns and by the rest of its metadata.
    """
    content = path.read_bytes()
    if path.suffix == ".json":
        without, count = _TIME.subn(rb'"\1"\2TIME', content)
        return _SEAL.sub(b'{"sha256":"SEAL"', without) if count else content
    if path.suffix == ".parquet":
        metadata = pl.read_parquet_metadata(path)
        if not metadata.keys().isdisjoint(TIMES):
            return _columns(path), _timeless_metadata(metadata)
    return content


def _timeless_metadata(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key not in (*TIMES, *_SEALS)}


def _columns(path: Path) -> list[tuple[str, str]]:
    # As texts, which tell every float apart and in which a NaN is a NaN.
    return [(repr(column), repr(column.to_list())) for column in pl.read_parquet(path)]


def near(old: object, new: object, *, tolerance: float = 1e-4, size: float = 0.0) -> bool:
    """Whether two things made of lists and mappings are equal but for roundings of their floats.

    Args:
        old: One.
        new: The other.
        tolerance: Of a float, relative to the larger of itself and `size`.
        size: The largest number of the list in which they stand.
    """
    if isinstance(old, float) and isinstance(new, float):
        both_nan = math.isnan(old) and math.isnan(new)
        return both_nan or math.isclose(old, new, rel_tol=tolerance, abs_tol=tolerance * size)
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(near(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        size = max((abs(value) for value in old if isinstance(value, float)), default=0.0)
        return len(old) == len(new) and all(
            near(*pair, tolerance=tolerance, size=size) for pair in zip(old, new, strict=True)
        )
    return old == new
