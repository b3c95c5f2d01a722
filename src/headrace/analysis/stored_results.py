"""results.json as a folder holds it: for what is measured after the results, and to be printed again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headrace.errors import DamagedError


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if the file does not exist.

    Raises:
        DamagedError: It is truncated or was altered.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if not isinstance(found, dict):
            raise ValueError("it is not an object")
        return found
    except (ValueError, RecursionError) as error:
        fix = "Delete it and give the command that made it again."
        raise DamagedError(f"this is not a JSON object ({error})", where=str(path), fix=fix) from None
