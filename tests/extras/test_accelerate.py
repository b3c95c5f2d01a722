"""accelerate: the same batches by any number of processes, and no loader that would drop most of them."""

from __future__ import annotations

from itertools import chain

import pytest
import torch

from extras.launching import launched


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> dict:
    (found,) = launched("ranks_accelerate.py", tmp_path_factory.mktemp("one"), 1)
    return found


def test_one_process_needs_no_dividing(one):
    assert one["refused"] == ["32", "32"]
    # Four batches per epoch in steps of three: the last step of an epoch has one.
    assert one["steps"] == 6


@pytest.mark.parametrize("ranks", [2, 4])
def test_several_processes_train_on_the_batches_of_one(tmp_path, one, ranks):
    found = launched("ranks_accelerate.py", tmp_path, ranks)
    batches = [[*chain(*parts)] for parts in zip(*(each["fed"] for each in found), strict=True)]
    assert batches == one["fed"]
    assert torch.allclose(found[0]["weights"], one["weights"], atol=1e-6)
    for each in found:
        assert each["steps"] == one["steps"]
        assert all("accelerator.prepare would divide" in said for said in each["refused"])
