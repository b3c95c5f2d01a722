"""The models of a user's own that docs/language.md shows, as files next to the data that they read."""

from __future__ import annotations

import re
from pathlib import Path

MOST_LINES = 15
"""What a user's model may need besides the model itself."""
_PAGE = Path(__file__).parents[3] / "docs" / "language.md"
_BLOCK = re.compile(r"^```text\n# (\w+)\.py[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
TEXT = "To be, or not to be: that is the question.\n" * 60


def written(name: str, folder: Path) -> int:
    """Write the file of this name, and a text, into a folder; how many lines a user writes."""
    source = dict(_BLOCK.findall(_PAGE.read_text(encoding="utf-8")))[name]
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    (folder / "input.txt").write_text(TEXT, encoding="utf-8")
    return sum(bool(line.strip()) for line in source.splitlines())
