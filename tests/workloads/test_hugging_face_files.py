"""A Hugging Face folder with something missing, left over or changed is not read as a whole data set."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from headrace.errors import InputError
from headrace.workloads import from_hugging_face
from headrace.workloads.models import mlp
from headrace.workloads.readers.hugging_face import read_hugging_face

from .test_hugging_face import rows, save_to_disk


def shards(folder: Path, count: int = 3, split: str = "train") -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{split}-{n:05}-of-{count:05}.parquet" for n in range(count)]
    for number, path in enumerate(paths):
        rows([number, number], [0, 1]).write_parquet(path)
    return paths


def values(folder: Path, split: str = "train") -> list[int]:
    return read_hugging_face(folder, split, mode="L").inputs[:, 0, 0, 0].tolist()


WHOLE = [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_file_is_named(missing: int, tmp_path: Path) -> None:
    shards(tmp_path / "data")[missing].unlink()
    with pytest.raises(
        InputError, match=rf"train-0000{missing}-of-00003.parquet is missing next to .*2 of 3"
    ):
        read_hugging_face(tmp_path)


def twice(folder: Path) -> None:
    shutil.copy(folder / "train-00001-of-00003.parquet", folder / "train-00001-of-00003 (1).parquet")


def another_download(folder: Path) -> None:
    shutil.copy(folder / "train-00001-of-00003.parquet", folder / "train-00003-of-00004.parquet")


def another_hash(folder: Path) -> None:
    shutil.copy(folder / "train-00001-of-00003.parquet", folder / "train-00001-of-00003-0a1b2c.parquet")


@pytest.mark.parametrize("leave", [twice, another_download, another_hash])
def test_files_of_two_downloads_are_refused(leave: Callable[[Path], None], tmp_path: Path) -> None:
    shards(tmp_path)
    leave(tmp_path)
    with pytest.raises(InputError, match=r"does not belong to the same data as"):
        read_hugging_face(tmp_path)


@pytest.mark.parametrize(
    "stray",
    [
        ".ipynb_checkpoints/train-00000-of-00003-checkpoint.parquet", "._train-00000-of-00003.parquet",
        ".cache/huggingface/download/train-00000-of-00003.parquet", "__MACOSX/train-00000-of-00003.parquet",
        "training-00000-of-00001.parquet", "train-00000-of-00003.parquet.lock", "cache-1234abcd.arrow",
    ],
)  # fmt: skip
def test_what_is_left_beside_is_no_data(stray: str, tmp_path: Path) -> None:
    shards(tmp_path)
    (tmp_path / stray).parent.mkdir(parents=True, exist_ok=True)
    rows([200], [1]).write_parquet(tmp_path / stray)
    assert values(tmp_path) == WHOLE


def test_several_configurations_are_not_added_up(tmp_path: Path) -> None:
    for name in ("plain", "rotated"):
        shards(tmp_path / name)
    with pytest.raises(
        InputError, match=r"several configurations.*got \['plain', 'rotated'\].*folder of one"
    ):
        read_hugging_face(tmp_path)
    assert values(tmp_path / "plain") == WHOLE


def test_files_numbered_without_a_total(tmp_path: Path) -> None:
    for number, path in enumerate(shards(tmp_path)):
        path.rename(tmp_path / f"train-{number}.parquet")
    assert values(tmp_path) == WHOLE
    (tmp_path / "train-1.parquet").unlink()
    with pytest.raises(InputError, match=r"not numbered one after the other"):
        read_hugging_face(tmp_path)


def test_rows_are_held_against_what_the_data_set_says(tmp_path: Path) -> None:
    shards(tmp_path)
    says = {"default": {"splits": {"train": {"num_examples": 6}}}}
    (tmp_path / "dataset_infos.json").write_text(json.dumps(says))
    assert values(tmp_path) == WHOLE
    says["default"]["splits"]["train"]["num_examples"] = 7
    (tmp_path / "dataset_infos.json").write_text(json.dumps(says))
    with pytest.raises(InputError, match=r"has 7 examples by dataset_infos.json; got 6"):
        read_hugging_face(tmp_path)


def test_saved_files_that_are_missing_are_named(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "train", [rows([5], [1]), rows([7], [1])])
    (tmp_path / "train" / "cache-0123.arrow").write_bytes(b"x")
    assert values(tmp_path) == [5, 7]
    (tmp_path / "train" / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(InputError, match=r"data-00001-of-00002.arrow is missing next to state.json"):
        read_hugging_face(tmp_path)


def test_a_state_that_forgets_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    save_to_disk(folder, [rows([5], [1]), rows([7], [1])])
    (folder / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": "data-00000-of-00002.arrow"}]})
    )
    with pytest.raises(InputError, match=r"data-00001-of-00002.arrow is missing next to data-00000"):
        read_hugging_face(folder)


def test_a_saved_split_that_is_missing(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "train", [rows([5] * 20, [0, 1] * 10)])
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    with pytest.raises(InputError, match=r"the split 'test', which dataset_dict.json names, is missing"):
        from_hugging_face(tmp_path, model=mlp, goal=0.1)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, -1, -1], r"number 1 is -1. Leave out the 2 examples without a label"),
        (["cat", "dog", "cat"], r"whole numbers.*got 'String.*class_encode_column"),
        ([0, None, 1], "1 empty"),
        ([[0], [1], [0]], r"whole numbers.*List"),
        ([0.5, 1.0, 0.0], "Float64"),
    ],
)
def test_labels_that_are_no_classes(labels: list[object], words: str, tmp_path: Path) -> None:
    rows([1, 2, 3], labels).write_parquet(tmp_path / "test.parquet")
    with pytest.raises(InputError, match=rf"\(test\): .*{words}"):
        read_hugging_face(tmp_path, "test")


@pytest.mark.parametrize("content", ["[1, 2]", '{"_data_files": 3}', '{"_data_files": [{}]}', "{", "nul"])
def test_a_state_that_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(InputError):
        read_hugging_face(tmp_path)


@pytest.mark.parametrize("cut", [0, 3, 50, -1])
def test_truncated_files_are_named(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    rows([1], [0]).write_parquet(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"train.parquet: the file cannot be read.*Get it again"):
        read_hugging_face(tmp_path)


def test_the_form_to_which_the_hub_converts_is_read_and_must_begin_at_0(tmp_path: Path) -> None:
    folder = tmp_path / "default" / "train"
    folder.mkdir(parents=True)
    for number in range(2):
        rows([number, number], [0, 1]).write_parquet(folder / f"{number:04}.parquet")
    assert values(tmp_path) == [0, 0, 1, 1]
    (folder / "0000.parquet").unlink()
    with pytest.raises(InputError, match="not numbered one after the other"):
        values(tmp_path)


def test_of_two_usual_columns_none_is_guessed(tmp_path: Path) -> None:
    table = rows([1, 2], [0, 1])
    table.with_columns(labels=pl.Series([1, 0])).write_parquet(tmp_path / "train.parquet")
    with pytest.raises(
        InputError, match=r"several columns may be meant; got \['label', 'labels'\].*argument label"
    ):
        read_hugging_face(tmp_path, mode="L")
    assert read_hugging_face(tmp_path, mode="L", label="labels").targets.tolist() == [1, 0]


def test_integers_of_other_widths_are_the_same_column(tmp_path: Path) -> None:
    for number, kind in enumerate((pl.Int64, pl.UInt8)):
        table = rows([number, number], [0, 1]).with_columns(pl.col("label").cast(kind))
        table.write_parquet(tmp_path / f"train-{number:05}-of-00002.parquet")
    assert read_hugging_face(tmp_path, mode="L").targets.tolist() == [0, 1, 0, 1]
