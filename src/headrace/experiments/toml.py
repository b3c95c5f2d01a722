"""TOML files: read with clear errors, and written for what an experiment file can hold."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.errors import InputError


def read(path: str | Path) -> dict[str, Any]:
    """The tables of a file.

    Raises:
        InputError: The file cannot be read, or is not TOML.
    """
    where = str(path)
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("there is no such file", where=where, fix="Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the file cannot be read ({error})", where=where) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"this is not TOML: {error}", where=where, fix="Mend the line named.") from None


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
