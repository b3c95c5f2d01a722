"""The documentation is true: its examples run, its files are accepted, its links lead somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")


def blocks(page: Path, language: str) -> list[str]:
    return [body for found, body in FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def named(pages: list[Path]) -> list:
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages]


@pytest.mark.parametrize("page", named([page for page in PAGES if blocks(page, "python")]))
def test_the_examples_of_a_page_run_one_after_the_other(
    page: Path, tmp_path: Path, monkeypatch: object
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    namespace: dict = {"__name__": "__example__"}
    for place, source in enumerate(blocks(page, "python")):
        exec(compile(source, f"{page.name}, example {place + 1}", "exec"), namespace)


@pytest.mark.parametrize("page", named([page for page in PAGES if blocks(page, "toml")]))
def test_the_experiment_files_of_a_page_are_accepted(page: Path) -> None:
    from headrace.specs.experiment import Experiment

    files = [tomllib.loads(body) for body in blocks(page, "toml")]
    for table in files:
        if {"workload", "grid"} <= set(table):
            Experiment.from_dict(table)


@pytest.mark.parametrize("page", named(PAGES))
def test_links_within_the_documentation_lead_somewhere(page: Path) -> None:
    missing = [
        link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()
    ]
    assert not missing
