"""Packages of others, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from headrace.errors import InputError


def needed(module: str, extra: str) -> Any:
    """A module of another package.

    Args:
        module: Its name.
        extra: The extra of Headrace that installs it.

    Raises:
        InputError: It is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise InputError(
            f"needs the package {error.name}, which is not installed",
            where=f"headrace.integrations.{extra}",
            fix=f"Install it, in the folder of Headrace's source: pip install '.[{extra}]'.",
        ) from None
