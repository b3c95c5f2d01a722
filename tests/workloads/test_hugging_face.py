from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from headrace.errors import InputError
from headrace.workloads.readers.hugging_face import read_hugging_face

FEATURES = {"image": {"_type": "Image"}, "label": {"names": ["no", "yes"], "_type": "ClassLabel"}}


def png(value: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", (4, 4), value).save(content, format="PNG")
    return content.getvalue()


def rows(values: list[int], labels: list[Any], image: str = "image", label: str = "label") -> pl.DataFrame:
    return pl.DataFrame({image: [{"bytes": png(v), "path": None} for v in values], label: labels})


def save_to_disk(folder: Path, parts: list[pl.DataFrame], **state: Any) -> None:
    """As `datasets.Dataset.save_to_disk` lays it out."""
    folder.mkdir(parents=True)
    names = [f"data-{number:05}-of-{len(parts):05}.arrow" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        part.write_ipc_stream(folder / name)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": n} for n in names], **state}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))


def test_save_to_disk_with_several_parts(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "train", [rows([5, 6], [1, 0]), rows([7], [1])])
    data = read_hugging_face(tmp_path, "train", mode="L")
    assert data.inputs[:, 0, 2, 2].tolist() == [5, 6, 7]
    assert data.targets.tolist() == [1, 0, 1]
    assert data.classes == ("no", "yes")


def test_save_to_disk_of_a_single_split(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "d", [rows([9], [0])])
    assert read_hugging_face(tmp_path / "d").inputs.shape == (1, 3, 4, 4)


def test_parquet_files_in_order_with_their_classes(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    metadata = {"huggingface": json.dumps({"info": {"features": {"digit": FEATURES["label"]}}})}
    for number, value in enumerate([3, 4]):
        table = rows([value], [number], image="img", label="digit")
        table.write_parquet(tmp_path / f"data/test-0000{number}-of-00002.parquet", metadata=metadata)
    data = read_hugging_face(tmp_path, "test", label="digit", mode="L")
    assert data.inputs[:, 0, 0, 0].tolist() == [3, 4]
    assert data.targets.tolist() == [0, 1]
    assert data.classes == ("no", "yes")


def test_pictures_that_lie_in_files_beside_the_table(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(png(8))
    table = pl.DataFrame({"image": [{"bytes": None, "path": "one.png"}], "label": [0]})
    table = table.with_columns(pl.col("image").cast(pl.Struct({"bytes": pl.Binary, "path": pl.String})))
    table.write_parquet(tmp_path / "train.parquet")
    assert read_hugging_face(tmp_path, mode="L").inputs[0, 0, 0, 0] == 8


def test_a_selection_of_rows_is_refused_and_not_ignored(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "d", [rows([1], [0])], _indices_files=[{"filename": "indices.arrow"}])
    with pytest.raises(InputError, match=r"flatten_indices"):
        read_hugging_face(tmp_path / "d")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (rows([1], ["no"]), "whole numbers without gaps; got 'String, 0 empty'"),
        (rows([1, 1], [0, None]), "got 'Int64, 1 empty'"),
        (
            rows([1], [0], label="kind"),
            r"no column 'label' or 'labels' or 'fine_label'; got \['image', 'kind'\]",
        ),
        (
            pl.DataFrame({"image": [3], "label": [0]}),
            "row 0: the image column holds no encoded picture; got 'int'",
        ),
        (pl.DataFrame({"image": [b"junk"], "label": [0]}), "row 0: the picture cannot be read"),
        (rows([], []), "the split has no examples"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, table: pl.DataFrame, message: str) -> None:
    save_to_disk(tmp_path / "d", [table])
    with pytest.raises(InputError, match=message):
        read_hugging_face(tmp_path / "d")


def test_a_missing_split_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no split 'valid'.*valid-\*\.parquet"):
        read_hugging_face(tmp_path, "valid")


@pytest.mark.parametrize("name", ["data-00000-of-00001.arrow", "state.json"])
def test_damaged_files_are_named(tmp_path: Path, name: str) -> None:
    save_to_disk(tmp_path / "d", [rows([1], [0])])
    (tmp_path / "d" / name).write_bytes(b"junk")
    with pytest.raises(InputError, match="file cannot be read"):
        read_hugging_face(tmp_path / "d")


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "train-0.parquet").write_bytes(b"PAR1 junk")
    with pytest.raises(InputError, match=r"train-0\.parquet: the file cannot be read"):
        read_hugging_face(tmp_path)
