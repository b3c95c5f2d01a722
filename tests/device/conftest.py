"""The device, for one test at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .pretend import Pretend


@pytest.fixture
def device() -> Iterator[Pretend]:
    """A device with float64, as CUDA's."""
    with Pretend() as present:
        yield present
