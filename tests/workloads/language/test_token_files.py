"""Token files of nanoGPT, llm.c, Megatron and Hugging Face datasets, whole and damaged."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.workloads import TokenWindows, read_megatron, read_text_rows, read_token_rows, read_tokens
from headrace.workloads.language.mapped import Chunked

DOCUMENTS = [[3, 1, 4], [1], [5, 9, 2, 6]]
TOKENS = [token for document in DOCUMENTS for token in document]


def write_megatron(prefix: Path, documents: list[list[int]], code: int = 8, dtype: str = "<u2") -> None:
    """As Megatron's IndexedDatasetBuilder lays it out, a sequence per document."""
    tokens = np.array([token for document in documents for token in document], dtype)
    tokens.tofile(f"{prefix}.bin")
    sizes = np.array([len(document) for document in documents], "<i4")
    pointers = (np.cumsum(sizes, dtype="<i8") - sizes) * tokens.itemsize
    edges = np.arange(len(documents) + 1, dtype="<i8")
    header = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, code, len(sizes), len(edges))
    Path(f"{prefix}.idx").write_bytes(
        header + sizes.tobytes() + pointers.astype("<i8").tobytes() + edges.tobytes()
    )


def save_to_disk(folder: Path, parts: list[pl.DataFrame]) -> None:
    folder.mkdir(parents=True)
    names = [f"data-{number:05}-of-{len(parts):05}.arrow" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        part.write_ipc_stream(folder / name)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))


def test_nanogpt_files_are_mapped_little_endian_with_documents(tmp_path: Path) -> None:
    path = tmp_path / "train.bin"
    np.array([3, 1, 0, 0, 5, 600, 2], "<u2").tofile(path)
    corpus = read_tokens(path, vocabulary=50_257, end_of_document=0)
    assert corpus.tokens[:].tolist() == [3, 1, 0, 0, 5, 600, 2]
    assert corpus.documents is not None
    assert corpus.documents.tolist() == [[0, 3], [3, 4], [4, 7]]
    assert read_tokens(path).size == 601
    inputs, targets = TokenWindows(corpus, 3).fetch(torch.tensor([1]))
    assert (inputs.tolist(), targets.tolist()) == ([[0, 5, 600]], [[5, 600, 2]])


def test_files_of_llm_c_are_known_by_their_header(tmp_path: Path) -> None:
    path = tmp_path / "train.bin"
    header = np.zeros(256, "<i4")
    header[:3] = [20240520, 1, len(TOKENS)]
    path.write_bytes(header.tobytes() + np.array(TOKENS, "<u2").tobytes())
    assert read_tokens(path).tokens[:].tolist() == TOKENS
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(InputError, match=r"the header says 8 tokens.*7 tokens"):
        read_tokens(path)


@pytest.mark.parametrize(
    ("content", "dtype", "message"),
    [
        (b"\1\0\2", "uint16", r"byte 2: .*ends within a token.*3 bytes"),
        (b"\1\0\2\0\3\0", "uint32", r"byte 4: .*ends within a token"),
        (b"", "uint16", "no tokens"),
        (b"\1\0" * 8, "float32", "whole numbers"),
        (b"\1\0" * 8, "tokens", "unknown type"),
    ],
)
def test_damaged_token_files_are_refused(tmp_path: Path, content: bytes, dtype: str, message: str) -> None:
    path = tmp_path / "train.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_tokens(path, dtype=dtype)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    for read in (read_tokens, read_megatron):
        with pytest.raises(InputError, match=r"none.*cannot be read"):
            read(tmp_path / "none")


@pytest.mark.parametrize(("code", "dtype"), [(8, "<u2"), (4, "<i4"), (1, "u1"), (5, "<i8")])
def test_megatron_files_give_tokens_and_documents(tmp_path: Path, code: int, dtype: str) -> None:
    write_megatron(tmp_path / "part", DOCUMENTS, code, dtype)
    corpus = read_megatron(tmp_path / "part.idx", vocabulary=10)
    assert corpus.tokens[:].tolist() == TOKENS
    assert corpus.documents is not None
    assert corpus.documents.tolist() == [[0, 3], [3, 4], [4, 8]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 97), st.integers(1, 255))
def test_any_changed_byte_of_an_index_is_refused_or_changes_nothing_but_documents(
    tmp_path: Path, place: int, change: int
) -> None:
    write_megatron(tmp_path / "part", DOCUMENTS)
    content = bytearray((tmp_path / "part.idx").read_bytes())
    content[place % len(content)] ^= change
    (tmp_path / "part.idx").write_bytes(bytes(content))
    try:
        corpus = read_megatron(tmp_path / "part")
    except InputError:
        return
    assert corpus.documents is not None
    assert corpus.tokens[:].tolist() == TOKENS
    assert corpus.documents[0, 0] == 0
    assert corpus.documents[-1, 1] == len(TOKENS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda idx, _: idx.write_bytes(idx.read_bytes()[:-3]), r"byte \d+: the index is cut"),
        (lambda idx, _: idx.write_bytes(b"TNTIDX" + idx.read_bytes()), r"byte 0: .*not an index"),
        (lambda _, bin: bin.write_bytes(bin.read_bytes()[:-2]), r"the index says 8 tokens.*7 tokens"),
        (lambda _, bin: bin.write_bytes(bin.read_bytes() + b"\0\0"), r"the index says 8 tokens.*9 tokens"),
        (lambda _, bin: bin.write_bytes(bin.read_bytes()[:-1]), r"ends within a token"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    write_megatron(tmp_path / "part", DOCUMENTS)
    change(tmp_path / "part.idx", tmp_path / "part.bin")
    with pytest.raises(InputError, match=message):
        read_megatron(tmp_path / "part")


def test_rows_of_tokens_are_documents(tmp_path: Path) -> None:
    parts = [pl.DataFrame({"input_ids": DOCUMENTS[:2]}), pl.DataFrame({"input_ids": [[], *DOCUMENTS[2:]]})]
    save_to_disk(tmp_path / "d" / "train", parts)
    corpus = read_token_rows(tmp_path / "d", vocabulary=10)
    assert corpus.tokens[:].tolist() == TOKENS
    assert corpus.documents is not None
    assert corpus.documents.tolist() == [[0, 3], [3, 4], [4, 4], [4, 8]]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pl.DataFrame({"ids": [[1]]}), "no column 'input_ids'.*ids"),
        (pl.DataFrame({"input_ids": [[1], None]}), r"row 2: a row is missing"),
        (pl.DataFrame({"input_ids": [[1], [2, None, 3]]}), r"row 2: a token is missing"),
        (pl.DataFrame({"input_ids": [[1.5]]}), "lists of whole numbers"),
        (pl.DataFrame({"input_ids": [[1], [99]]}), "outside the vocabulary of 10"),
    ],
)
def test_rows_that_are_no_tokens_are_refused(tmp_path: Path, table: pl.DataFrame, message: str) -> None:
    save_to_disk(tmp_path / "d", [pl.DataFrame({"input_ids": [[7]], "ids": [[7]]}), table])
    with pytest.raises(InputError, match=message):
        read_token_rows(tmp_path / "d", vocabulary=10)


def test_rows_of_text_are_documents_and_a_missing_one_is_named(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "d", [pl.DataFrame({"text": ["one", "two"]})])
    corpus = read_text_rows(tmp_path / "d")
    assert corpus.decode is not None
    assert corpus.decode(corpus.tokens[:]) == "onetwo"
    save_to_disk(tmp_path / "e", [pl.DataFrame({"text": ["one", None]})])
    with pytest.raises(InputError, match=r"row 1: must be a text"):
        read_text_rows(tmp_path / "e")


def test_a_data_set_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no data set that save_to_disk wrote"):
        read_token_rows(tmp_path)


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=5).filter(any), st.data())
def test_chunks_are_read_as_one_array(chunks: list[list[int]], draw: st.DataObject) -> None:
    whole = np.array([token for chunk in chunks for token in chunk], np.uint8)
    joined = Chunked([np.array(chunk, np.uint8) for chunk in chunks])
    places = np.array(draw.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=6)))
    assert joined[places].tolist() == whole[places].tolist()
    assert joined[:].tolist() == whole.tolist()
    assert (len(joined), joined.nbytes, int(joined[0])) == (len(whole), whole.nbytes, int(whole[0]))
