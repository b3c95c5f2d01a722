"""Text as bytes and as characters, and what is not text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.workloads import TokenWindows, read_text, read_texts
from headrace.workloads.language.text import documents

TEXT = "naïve café — 東京 🙂\r\nNUL \0 end"


def test_characters_are_numbered_in_their_order_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.encode())
    corpus = read_text(path)
    letters = sorted(set(TEXT))
    assert corpus.size == len(letters)
    assert corpus.tokens[:].tolist() == [letters.index(letter) for letter in TEXT]
    assert corpus.decode is not None
    assert corpus.decode(corpus.tokens[:]) == TEXT
    assert corpus.token_bytes is not None
    assert int(corpus.token_bytes[corpus.tokens[:]].sum()) == len(TEXT.encode())


def test_bytes_are_the_files(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(TEXT.encode())
    corpus = read_text(path, "bytes")
    assert corpus.size == 256
    assert bytes(corpus.tokens[:].tolist()) == TEXT.encode()


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0x10FFFE)), min_size=1, max_size=5
    )
)
def test_documents_end_apart_and_read_back(texts: list[str]) -> None:
    for unit in ("bytes", "characters"):
        corpus = documents([text.encode() for text in texts], unit)
        assert corpus.documents is not None
        assert corpus.decode is not None
        parts = [corpus.tokens[start:stop] for start, stop in corpus.documents.tolist()]
        assert len({int(part[-1]) for part in parts}) == 1, "each ends with the same token"
        assert [corpus.decode(part[:-1]) for part in parts] == texts
        assert corpus.token_bytes is not None
        total = int(corpus.token_bytes[np.concatenate(parts)].sum())
        assert total == sum(len(text.encode()) for text in texts), "the end stands for no byte"


def test_a_folder_is_read_in_the_order_of_paths_and_strays_are_passed_over(tmp_path: Path) -> None:
    for name, text in {"b/x.txt": "two", "a.txt": "one", "c.md": "no", ".hidden.txt": "no"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    corpus = read_texts(tmp_path)
    assert corpus.decode is not None
    assert corpus.decode(corpus.tokens[:]) == "one\ntwo\n"
    with pytest.raises(InputError, match=r"no file of this folder matches '\*\.rst'"):
        read_texts(tmp_path, pattern="*.rst")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"abc\xffdef", r"byte 3: .*not UTF-8"), ("a".encode("utf-16"), r"byte 0: .*not UTF-8")],
)
def test_what_is_not_text_is_refused_with_the_byte(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_text(path)
    if content:
        with pytest.raises(InputError, match=message):
            read_texts(tmp_path)


def test_bytes_per_target_are_those_of_the_targets_that_count() -> None:
    corpus = documents(["é!".encode(), b"abc"], "characters")
    assert TokenWindows(corpus, 2, "within").bytes_per_target == pytest.approx((1 + 0 + 1 + 1 + 0) / 5)
