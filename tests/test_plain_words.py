"""Messages, docstrings and pages use plain words: phrases that readers stumble over do not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "headrace"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(SOURCE.rglob("*.html"))]
CODE = re.compile(r"\{[{%#].*?[}%#]\}")
"""What a template computes."""

PLAIN = {
    r"\b(?:is|are|was|were) known of\b": "facts about",
    r"\btells?\b|\btold\b|\btelling\b": "report, show, pass or distinguish",
    r"\bwhatever\b": "regardless of, or any",
    r"\bso (?:many|long)\b": "this many, at least this long",
    r"\bno such\b": "unknown, or does not exist",
    r"\b(?:is|are|was|were) (?:not )?to be\b": "must be",
    r"\bgo(?:es|ing)? on\b|\bwent on\b": "resume or continue",
    r"\b[Mm]end(?:s|ed|ing)?\b": "fix",
    r"\bthis is no(?:ne)?\b(?! (?:more|less|longer)\b)": "is not a",
    r"\bbut for\b": "except",
    r"\bbeside\b": "next to, or as well as",
    r"\bheld against\b": "compared with",
    r"\b(?:once|one|twice) an? (?:study|trial|example|epoch|step|class|member|row|batch|core)\b": "per",
    r"\b[Oo]ptimiser": "optimizer",
    r"[0-9] %(?! [(0-9]| [a-z]\b)": "5%, without a blank",
}  # fmt: skip
"""Pattern -> what to write instead."""

NOT_YET = {}
"""Rooms whose words are still to be looked through; a room that is clean must leave this set."""

ALLOWED = {
    "told as a lifetime": "how every contract of an extension point is introduced",
    "tell: Called after each training": "an argument's name that scripts use",
}
"""Part of a text -> why it may stay."""


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a page or template, or the docstrings and messages of a module, each with its line."""
    if path.suffix in {".md", ".html"}:
        lines = path.read_text(encoding="utf-8").splitlines()
        yield from enumerate((CODE.sub("0", line) for line in lines), 1)
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(_shown(part) for part in node.values)


def _shown(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "0"


def found(paths: list[Path]) -> list[str]:
    """Each text that holds a pattern, with its place and what to write instead."""
    return [
        f"{path.relative_to(ROOT)}, line {line}: {match.group()!r}, write {instead}: {text.strip()[:100]!r}"
        for path in paths
        for line, text in texts(path)
        # A name of a stream or a key is one word, and is never renamed.
        if " " in text and not any(allowed in text for allowed in ALLOWED)
        for pattern, instead in PLAIN.items()
        for match in re.finditer(pattern, text)
    ]


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0]


def test_pages_use_plain_words() -> None:
    assert not found(PAGES)


@pytest.mark.parametrize("name", sorted({room(path) for path in SOURCE.rglob("*.py")}))
def test_messages_and_docstrings_use_plain_words(name: str) -> None:
    assert not found([path for path in sorted(SOURCE.rglob("*.py")) if room(path) == name])


@pytest.mark.parametrize(
    "text",
    [
        "what is known of it",
        "nothing tells",
        "whatever it is",
        "so many steps",
        "no such file",
        "goal is to be finite",
        "the run goes on",
        "Mend the file",
        "this is no class",
        "all but for one",
        "beside it",
        "one a study of them",
        "the optimiser",
        "about 5 % of it",
    ],
)
def test_each_pattern_is_found(text: str) -> None:
    assert any(re.search(pattern, text) for pattern in PLAIN)


@pytest.mark.parametrize("text", ["besides it", "this is no longer so", "7 % 3", "index % (2)", "5% of it"])
def test_what_is_plain_is_not_found(text: str) -> None:
    assert not any(re.search(pattern, text) for pattern in PLAIN)
