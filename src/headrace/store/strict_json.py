"""JSON that all readers understand alike: no key twice in an object, no number that is not finite."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NoReturn


def parsed(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is not JSON, has a key twice, a number that is not finite, or nests too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=unrepeated, parse_constant=_not_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def unrepeated(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON from its keys and values.

    Raises:
        ValueError: A key is there twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {twice!r} is in one object twice")
    return found


def _not_finite(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a value of JSON")
