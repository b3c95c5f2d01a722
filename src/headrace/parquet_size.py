"""What a Parquet file says that it holds, from its footer alone, before any of it is decoded.

A few bytes can decode to many: runs of one value, compressed pages. The footer is in Thrift's compact
protocol (apache/thrift, thrift-compact-protocol.md; apache/parquet-format, parquet.thrift), of which this
reads what a size needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

_MAGIC = b"PAR1"
_WIDTHS = {0: 1, 1: 4, 2: 8, 4: 4, 5: 8}
"""Physical type -> bytes of one decoded value."""
_WIDEST = 16
"""Of all other types; the bytes of texts are those of their pages."""
_DEEPEST = 16
# Fields of parquet.thrift: of FileMetaData, RowGroup, ColumnChunk, and three of ColumnMetaData.
_GROUPS, _CHUNKS, _ABOUT, _TYPE, _VALUES, _PAGES = 4, 1, 3, 1, 5, 6


def decoded_bytes(content: bytes) -> int:
    """About the memory of the decoded columns as the footer declares them; a text that repeats counts once.

    Args:
        content: The whole file.

    Raises:
        ValueError: It is not a Parquet file, or its footer cannot be read.
    """
    length = int.from_bytes(content[-8:-4], "little")
    if content[-4:] != _MAGIC or not 0 < length <= len(content) - 12:
        raise ValueError("the file does not end as Parquet files do")
    try:
        footer = _Compact(content[-8 - length : -8]).struct()
        chunks = [chunk[_ABOUT] for group in footer[_GROUPS] for chunk in group[_CHUNKS]]
        return sum(
            int(chunk[_PAGES]) + int(chunk[_VALUES]) * _WIDTHS.get(chunk[_TYPE], _WIDEST) for chunk in chunks
        )
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ValueError("the footer cannot be read") from None


class _Compact:
    """Thrift's compact protocol: structs as dictionaries of field numbers."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0
        self._depth = 0

    def struct(self) -> dict[int, Any]:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("the footer nests too deeply")
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            step = head >> 4
            number = number + step if step else self._integer()
            found[number] = self._value(head & 15, in_list=False)
        self._depth -= 1
        return found

    def _value(self, kind: int, *, in_list: bool) -> Any:
        # A boolean of a struct is in its type; one of a list is a byte.
        if kind in (1, 2):
            return self._byte() == 1 if in_list else kind == 1
        readers: dict[int, Callable[[], Any]] = {
            3: self._byte,
            4: self._integer,
            5: self._integer,
            6: self._integer,
            7: lambda: self._bytes(8),
            8: lambda: self._bytes(self._varint()),
            9: lambda: list(self._list()),
            10: lambda: list(self._list()),
            12: self.struct,
        }
        return readers[kind]()

    def _list(self) -> Iterator[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        if count > len(self._content) - self._place:
            raise ValueError("a list is longer than the footer")
        return (self._value(head & 15, in_list=True) for _ in range(count))

    def _byte(self) -> int:
        self._place += 1
        return self._content[self._place - 1]

    def _bytes(self, count: int) -> bytes:
        if count > len(self._content) - self._place:
            raise ValueError("a text is longer than the footer")
        self._place += count
        return self._content[self._place - count : self._place]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128 or shift > 70:
                return value

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
