"""Who asks a sampler for its indices: a loop, a loader, one that fetches ahead or leaves a last batch out."""

from __future__ import annotations

import pytest
from torch.utils.data import BatchSampler, DataLoader

from headrace.sampling.loaders import Caller, caller


class Asked:
    """Eight indices; notes who asks for them."""

    by = None

    def __len__(self):
        return 8

    def __iter__(self):
        self.by = self.who()
        return iter(range(8))

    def who(self):
        return caller()


def asked(walk) -> Caller:
    sampler = Asked()
    walk(sampler)
    return sampler.by


@pytest.mark.parametrize(
    ("walk", "expected"),
    [
        (list, Caller()),
        (lambda s: list(DataLoader(range(8), sampler=s)), Caller(loader=True)),
        (
            lambda s: next(iter(DataLoader(range(8), sampler=s, num_workers=1))),
            Caller(loader=True, ahead=True),
        ),
        (
            lambda s: list(DataLoader(range(8), sampler=s, batch_size=3, drop_last=True)),
            Caller(loader=True, batch=3),
        ),
        (lambda s: list(BatchSampler(s, 3, drop_last=True)), Caller(batch=3)),
        (lambda s: list(BatchSampler(s, 3, drop_last=False)), Caller()),
    ],
)
def test_who_asks(walk, expected):
    assert asked(walk) == expected


def test_accelerate_holds_a_batch_back():
    """Its loaders fetch the next batch before they give one; they are known by their file."""
    found: dict = {}
    code = "def walk(loader):\n    return list(loader)"
    exec(compile(code, "/site-packages/accelerate/data_loader.py", "exec"), found)
    assert asked(lambda s: found["walk"](DataLoader(range(8), sampler=s))) == Caller(loader=True, ahead=True)
    assert asked(found["walk"]) == Caller()
