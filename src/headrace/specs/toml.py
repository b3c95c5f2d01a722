"""TOML files: read with clear errors, and written for what an experiment file can hold."""

from __future__ import annotations

import codecs
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.errors import InputError

LARGEST_FILE = 2**20
"""Bytes of a file of tables; what is longer is data, and takes a parser minutes."""
_MOST_PARTS = 30
_PART = r"""(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*"""
_LONG_KEY = re.compile(rf"(?<![A-Za-z0-9_-]){_PART}(?:\.[ \t]*{_PART}){{{_MOST_PARTS},}}[=\]]")
"""A dotted key of more than `_MOST_PARTS` parts; the parser's time grows with the square of their number."""

_FIXES: tuple[tuple[str, str], ...] = (
    (r"^(?:<{7}|={7}|>{7})", "Choose one side of the conflict that git left."),
    (r"[\u201c-\u201f\u2018-\u201b\u00ab\u00bb]", 'Write straight quotes: ".'),
    (
        r"^[^\"'#=]*[^\x00-\x7f]|[\u00a0\u200b\ufeff]",
        "Type the line again: a character only looks like ASCII.",
    ),
    (r"=\s*(?:True|False|None)\b", "Write true or false; leave out what is None."),
    (r"[=,\[{]\s*[+-]?(?:\.\d|\d+\.(?!\d))", "Write digits on both sides of a decimal point: 0.1 and 1.0."),
    (r'"[^"]*\\[^"]*"', "Write single quotes around a text with backslashes."),
    (r"=\s*[A-Za-z_$/~.][^\"']*$", "Write texts in quotes."),
    (r"^[\w.-]+\s*:", "Write key = value; this looks like YAML."),
    (r"\{[^}]*(?:,\s*\}|$)", "Write a table in braces in one line, without a comma at its end."),
)
"""What a line that is not TOML looks like -> the fix."""


def read(path: str | Path) -> dict[str, Any]:
    """The tables of a file.

    Raises:
        InputError: The file cannot be read, or is not TOML.
    """
    where = str(path)
    text = _decoded(_content(Path(path), where), where)
    if _LONG_KEY.search(text):
        raise InputError(f"a key has more than {_MOST_PARTS} parts", where=where, fix="Use fewer dots.")
    try:
        # As an editor saves it: a byte order mark is not part of the text.
        return tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(str(error), text, where) from None
    except RecursionError:
        raise InputError("lists or tables are nested too deep", where=where, fix="Nest fewer.") from None
    except ValueError as error:
        # Of a number with thousands of digits, or a date that no calendar has.
        raise InputError(f"a number or a date cannot be read ({error})", where=where) from None


def _not_toml(reason: str, text: str, where: str) -> InputError:
    """The line at fault, and what such lines often lack."""
    place = re.search(r"at line (\d+)", reason)
    line = text.split("\n")[int(place[1]) - 1].strip() if place else ""
    fix = next((fix for pattern, fix in _FIXES if re.search(pattern, line)), "Fix the line named.")
    return InputError(f"this is not TOML: {reason}", where=where, got=line, fix=fix)


def _content(path: Path, where: str) -> bytes:
    """The bytes of an ordinary file that is not too large."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            what = "this is a folder" if path.is_dir() else "this is not an ordinary file"
            raise InputError(what, where=where, fix="Give the path of a TOML file.")
        if size > LARGEST_FILE:
            what = f"the file has {size:,} bytes, and at most {LARGEST_FILE:,} are read"
            raise InputError(what, where=where, fix="Give the path of a TOML file.")
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError("the file does not exist", where=where, fix="Check the path.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"the file cannot be read ({reason})", where=where, fix="Check the path.") from None


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            what = "the file is UTF-16"
        else:
            line = content.count(b"\n", 0, error.start) + 1
            what = f"line {line} is not UTF-8 (the byte 0x{content[error.start]:02x})"
        raise InputError(what, where=where, fix="Save the file as UTF-8.") from None


def dumps(tables: Mapping[str, Any]) -> str:
    """The canonical TOML text of nested mappings; None is left out.

    The outermost mappings, and those that hold mappings, get a heading; the others are written inline.

    Raises:
        InputError: A value that TOML or JSON does not have.
    """
    return "\n\n".join(_blocks(tables, ())) + "\n"


def _blocks(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    tables = {k: v for k, v in table.items() if isinstance(v, Mapping) and (not path or _holds_mappings(v))}
    values = {k: v for k, v in table.items() if v is not None and k not in tables}
    lines = [f"[{'.'.join(map(_key, path))}]"] if path and (values or not tables) else []
    lines += [f"{_key(name)} = {_value(value)}" for name, value in values.items()]
    blocks = ["\n".join(lines)] if lines else []
    for name, value in tables.items():
        blocks += _blocks(value, (*path, name))
    return blocks


def _holds_mappings(table: Mapping[str, Any]) -> bool:
    return any(isinstance(value, Mapping) for value in table.values())


def _key(name: str) -> str:
    bare = name and name.isascii() and all(c.isalnum() or c in "-_" for c in name)
    return name if bare else _string(name)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(v) for v in value)}]"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return f"{{ {inner} }}" if inner else "{}"
    raise InputError("cannot be written to an experiment file", got=value, fix="Use text, numbers and lists.")
