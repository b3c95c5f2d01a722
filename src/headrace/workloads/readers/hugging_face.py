"""Hugging Face data sets as they are on disk (`save_to_disk`, Parquet files), read without that library."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from headrace.errors import InputError
from headrace.ids import checked
from headrace.workloads.class_numbers import check_counted_from_0, check_named
from headrace.workloads.labelled import Labelled
from headrace.workloads.readers.hugging_face_files import (
    check_rows,
    parquet_files,
    read_json,
    saved_files,
    saved_folder,
)
from headrace.workloads.readers.pictures import Mode, stack_pictures

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels", "fine_label")
"""The usual names, of which there must be one where no column is named."""


def read_hugging_face(
    folder: Path | str,
    split: str = "train",
    *,
    image: str | None = None,
    label: str | None = None,
    mode: Mode = "RGB",
    size: tuple[int, int] | None = None,
    ids: str | None = None,
) -> Labelled:
    """Read one split of an image data set: encoded pictures in one column, class numbers in another.

    Args:
        folder: What `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote (Arrow streams), or a folder
            with Parquet files named `<split>-*.parquet` (or `0000.parquet`, ... in a folder of the split's
            name), at its top or below, as on the hub.
        split: The split's name.
        image: The column of pictures (bytes, or a struct of bytes and path); None looks for the usual names.
        label: The column of class numbers; None looks for the usual names.
        mode: "L" for grey, "RGB" for colour.
        size: (height, width) to which every picture is scaled; needed where they differ.
        ids: The column with what the pictures are called; None: their rows in the split, from 0.

    Returns:
        Images uint8 [examples channels height width]; the classes' names if the data set holds them.

    Raises:
        InputError: Nothing readable there, a column is missing or of another kind, or a picture is damaged.
    """
    folder = Path(folder)
    table, features = _read_table(folder, split)
    where = f"{folder} ({split})"
    image = _column(table, image, IMAGE_COLUMNS, where, "image")
    label = _column(table, label, LABEL_COLUMNS, where, "label")
    if len(table) == 0:
        raise InputError("the split has no examples", where=where)
    sources = [
        (f"{where}, row {row}", _content(value, folder, f"{where}, row {row}"))
        for row, value in enumerate(table[image])
    ]
    described = features.get(label)
    listed = described.get("names") if isinstance(described, dict) else None
    names = tuple(map(str, listed)) if isinstance(listed, list) and listed else None
    return Labelled(
        inputs=stack_pictures(sources, mode=mode, size=size),
        targets=_targets(table[label], names, where),
        classes=names,
        ids=checked(_ids(table, ids, where), len(table), where=where),
    )


def _ids(table: pl.DataFrame, column: str | None, where: str) -> list[object] | range:
    return range(len(table)) if column is None else table[_column(table, column, (), where, "ids")].to_list()


def _read_table(folder: Path, split: str) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The split's rows, and its columns' features as the data set describes them."""
    place = saved_folder(folder, split)
    if place is not None:
        files = saved_files(place)
        table = _concatenated([_read(pl.read_ipc_stream, path) for path in files], files[0])
        information = place / "dataset_info.json"
        return table, _features(read_json(information) if information.is_file() else {})
    files = parquet_files(folder, split)
    if not files:
        raise InputError(
            f"no split {split!r} of a Hugging Face data set is here",
            where=str(folder),
            fix=f"Looked for {split}/state.json, state.json (save_to_disk), {split}-*.parquet and "
            f"{split}/0000.parquet. Of a cache give what load_dataset(...).save_to_disk(folder) makes.",
        )
    table = _concatenated([_read(pl.read_parquet, path) for path in files], files[0])
    check_rows(folder, split, len(table))
    try:
        described = json.loads(_read(pl.read_parquet_metadata, files[0]).get("huggingface", "{}"))
    except ValueError as error:
        raise InputError(
            f"the description of the columns is not JSON: {error}", where=str(files[0])
        ) from error
    return table, _features(described.get("info", {}) if isinstance(described, dict) else {})


def _read(function: Callable[[Path], Any], path: Path) -> Any:
    try:
        return function(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise InputError(f"the file cannot be read: {error}", where=str(path), fix="Get it again.") from error


def _concatenated(tables: list[pl.DataFrame], where: Path) -> pl.DataFrame:
    try:
        # Integers and floats of different widths are alike: writers choose them file by file.
        return pl.concat(tables, how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"the files have different columns: {str(error).splitlines()[0]}",
            where=str(where),
            fix="Keep the files of one download.",
        ) from error


def _features(information: Any) -> dict[str, Any]:
    features = information.get("features") if isinstance(information, dict) else None
    return features if isinstance(features, dict) else {}


def _column(
    table: pl.DataFrame, asked: str | None, usual: tuple[str, ...], where: str, parameter: str
) -> str:
    names = (asked,) if asked is not None else usual
    found = [name for name in names if name in table.columns]
    if len(found) > 1:
        raise InputError(
            "several columns may be meant",
            where=where,
            got=found,
            fix=f"Name one by the argument {parameter}.",
        )
    if found:
        return found[0]
    raise InputError(
        f"there is no column {' or '.join(map(repr, names))}",
        where=where,
        got=table.columns,
        fix=f"Name it by the argument {parameter}.",
    )


def _content(value: object, folder: Path, where: str) -> bytes | Path:
    """A picture's bytes, or the file that holds them."""
    if isinstance(value, dict):
        path = value.get("path")
        value = value.get("bytes") or (folder / path if path else None)
    if isinstance(value, bytes | Path):
        return value
    raise InputError("the image column holds no encoded picture", where=where, got=type(value).__name__)


def _targets(column: pl.Series, names: Sequence[str] | None, where: str) -> Tensor:
    if not column.dtype.is_integer() or column.null_count():
        raise InputError(
            f"the label column {column.name!r} must hold whole numbers without gaps",
            where=where,
            got=f"{column.dtype}, {column.null_count()} empty",
            fix="For texts call class_encode_column() of `datasets` before saving.",
        )
    wide = column.cast(pl.Int64, strict=False)
    if wide.null_count():
        row = int(wide.is_null().arg_max() or 0)
        raise InputError("class numbers must be below 2**63", where=f"{where}, row {row}", got=column[row])
    numbers = wide.to_numpy()
    check_counted_from_0(numbers, where)
    check_named(numbers, names, where)
    return torch.from_numpy(numbers.copy())
