"""Peers that Headrace does not depend on: where one is missing, how to get it, and exit code 2."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

HOW = (
    "python -m pip install --no-deps -r requirements-bench.lock  "
    "(--no-deps, so that torch and numpy stay as they are)"
)


def peer(module: str) -> ModuleType:
    """The peer's module; ends the process with code 2 where it cannot be imported."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        print(f"This benchmark needs {module}: {error}. Install it with\n  {HOW}", file=sys.stderr)
        raise SystemExit(2) from error
