"""What kinds of targets can be searched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.errors import InputError
from headrace.search.runner import search_subset
from headrace.specs.search import SubsetSearch

Spec = Callable[..., SubsetSearch]


@pytest.mark.parametrize(
    ("name", "kind"), [("tokens_pool", "tokens"), ("numbers_pool", "numbers"), ("shares_pool", "numbers")]
)
def test_tokens_and_numbers_are_refused_in_one_message(
    spec: Spec, tmp_path: Path, name: str, kind: str
) -> None:
    with pytest.raises(InputError, match=f"needs a classifier.*targets that are {kind}, .*cannot be"):
        search_subset(spec({"workload": {"name": f"pool_workload:{name}"}}), tmp_path, processes=1)
    assert not (tmp_path / "runs").exists()
