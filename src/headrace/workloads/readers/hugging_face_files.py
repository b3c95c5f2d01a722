"""Which files of a Hugging Face folder are a split: all of it, and nothing that was left next to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from headrace.errors import InputError
from headrace.workloads.readers.image_folder import is_stray

_NUMBERED = re.compile(r"-(?P<number>\d+)-of-(?P<total>\d+)(?P<hash>-[0-9a-f]+)?")
"""What follows the split's name in the name of one of several files, such as -00000-of-00003."""
_COUNTED = re.compile(r"-\d+")
_CONVERTED = re.compile(r"\d{4,}")
"""The names of files in a folder of the split's name: the form to which the hub converts data sets."""
_GET_AGAIN = "Get it again."


def saved_folder(folder: Path, split: str) -> Path | None:
    """Where `save_to_disk` left the split, or None.

    Raises:
        InputError: `dataset_dict.json` names splits that are not there.
    """
    listed = folder / "dataset_dict.json"
    if listed.is_file():
        splits = read_json(listed).get("splits")
        for name in splits if isinstance(splits, list) else ():
            if isinstance(name, str) and not (folder / name / "state.json").is_file():
                raise InputError(
                    f"the split {name!r}, which dataset_dict.json names, is missing",
                    where=str(folder),
                    fix=_GET_AGAIN,
                )
    return next((place for place in (folder / split, folder) if (place / "state.json").is_file()), None)


def saved_files(folder: Path) -> list[Path]:
    """The Arrow files that `state.json` names; others, such as caches of transformed rows, are not the data.

    Raises:
        InputError: One is missing, none is named, or rows are selected by an index of their own.
    """
    state = read_json(folder / "state.json")
    if state.get("_indices_files") or state.get("_indices_data_files"):
        raise InputError(
            "the data set was saved with a selection of rows stored next to it",
            where=str(folder),
            fix="Call flatten_indices() before save_to_disk().",
        )
    parts = state.get("_data_files")
    parts = parts if isinstance(parts, list) else []
    names = [part.get("filename") for part in parts if isinstance(part, dict)]
    paths = [folder / name for name in names if isinstance(name, str)]
    if not paths or len(paths) != len(parts):
        raise InputError("state.json names no data files", where=str(folder))
    _check_there(paths)
    _check_whole(paths, "data")
    return paths


def parquet_files(folder: Path, split: str) -> list[Path]:
    """The Parquet files of the split, in order; none without such a split.

    Raises:
        InputError: One of several is missing, there is another next to them, or several configurations have
            the split.
    """
    found = [path for path in sorted(folder.rglob("*.parquet")) if _belongs(path, folder, split)]
    folders = sorted({path.parent for path in found})
    if len(folders) > 1:
        raise InputError(
            f"several configurations have a split {split!r}",
            where=str(folder),
            got=[place.relative_to(folder).as_posix() for place in folders],
            fix="Give the folder of one.",
        )
    _check_whole(found, split)
    return found


def has_split(folder: Path, split: str) -> bool:
    """Whether the folder holds a split of this name."""
    return (folder / split / "state.json").is_file() or bool(parquet_files(folder, split))


def check_rows(folder: Path, split: str, rows: int) -> None:
    """Hold the rows of Parquet files against `dataset_infos.json`, if that describes one configuration.

    Raises:
        InputError: There are more or fewer.
    """
    path = folder / "dataset_infos.json"
    infos = list(read_json(path).values()) if path.is_file() else []
    if len(infos) != 1 or not isinstance(infos[0], dict):
        return
    splits = infos[0].get("splits")
    told = splits.get(split) if isinstance(splits, dict) else None
    expected = told.get("num_examples") if isinstance(told, dict) else None
    if isinstance(expected, int) and expected != rows:
        raise InputError(
            f"the split {split!r} has {expected} examples by dataset_infos.json",
            where=str(folder),
            got=rows,
            fix=f"{_GET_AGAIN} Delete dataset_infos.json if the data were changed on purpose.",
        )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        InputError: The file cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"the file cannot be read: {error}", where=str(path)) from error
    if not isinstance(content, dict):
        raise InputError("must hold a JSON object", where=str(path), got=type(content).__name__)
    return content


def _belongs(path: Path, folder: Path, split: str) -> bool:
    """Whether a file is the split's by its name, and in no folder that is passed over."""
    inside = [path, *(place for place in path.parents if place != folder and folder in place.parents)]
    named = path.stem == split or path.stem.startswith(f"{split}-")
    converted = path.parent.name == split and _CONVERTED.fullmatch(path.stem) is not None
    return (named or converted) and not any(map(is_stray, inside))


def _check_there(paths: list[Path]) -> None:
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise InputError(
            f"{', '.join(missing[:5])} is missing next to state.json",
            where=str(paths[0].parent),
            fix=_GET_AGAIN,
        )


def _check_whole(paths: list[Path], split: str) -> None:
    """Of files that are numbered, all must be there, and no other."""
    matches = {path: _NUMBERED.fullmatch(path.stem.removeprefix(split)) for path in paths}
    numbered = {path: match for path, match in matches.items() if match is not None}
    if not numbered:
        _check_counted(paths, split)
        return
    first = next(iter(numbered))
    totals = {int(match["total"]) for match in numbered.values()}
    other = [path for path in paths if path not in numbered]
    numbers = [int(match["number"]) for match in numbered.values()]
    if other or len(totals) > 1 or len(set(numbers)) < len(numbers):
        odd = other[0] if other else paths[-1]
        raise InputError(
            f"{odd.name} does not belong to the same data as {first.name}",
            where=str(first.parent),
            fix="Keep the files of one download.",
        )
    total = totals.pop()
    missing = next((number for number in range(total) if number not in numbers), None)
    if missing is not None:
        name = f"{split}-{missing:0{len(numbered[first]['number'])}d}-of-{numbered[first]['total']}"
        raise InputError(
            f"{name}{first.suffix} is missing next to {first.name}",
            where=str(first.parent),
            got=f"{len(numbers)} of {total} files",
            fix=_GET_AGAIN,
        )


def _check_counted(paths: list[Path], split: str) -> None:
    """Several files without a total must be numbered from 0 without a gap, or one is missing."""
    converted = [path for path in paths if _CONVERTED.fullmatch(path.stem)]
    rests = [f"-{path.stem}" if path in converted else path.stem.removeprefix(split) for path in paths]
    numbers = sorted(int(rest[1:]) for rest in rests if _COUNTED.fullmatch(rest))
    if (len(paths) > 1 or converted) and numbers != list(range(len(paths))):
        raise InputError(
            f"the files of the split {split!r} are not numbered one after the other",
            where=str(paths[0].parent),
            got=[path.name for path in paths[:5]],
            fix=f"Keep those of one download, named {split}-00000-of-00002.parquet and so on.",
        )
