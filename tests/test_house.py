"""The house: what an import costs, and what the public names are."""

from __future__ import annotations

import subprocess
import sys

import pytest


def modules_after(code: str) -> set[str]:
    """The modules that a fresh process has imported after `code`."""
    program = f"import sys\n{code}\nprint('MODULES', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.rsplit("MODULES", 1)[1].split())


HEAVY = {"torch", "polars", "scipy", "matplotlib", "sklearn", "numpy"}


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["fit", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert not modules_after(f"from headrace.cli.app import execute; execute({arguments!r})") & HEAVY


@pytest.mark.parametrize(
    "module",
    [
        "headrace",
        "headrace.specs.experiment",
        "headrace.store.experiments",
        "headrace.experiments.runner",
        "headrace.analysis.results",
        "headrace.report",
        "headrace.report.figures",
        "headrace.report.search_report",
        "headrace.store.portraits",
        "headrace.workloads.registry",
    ],
)
def test_status_and_report_import_no_torch(module: str) -> None:
    assert "torch" not in modules_after(f"import {module}")
