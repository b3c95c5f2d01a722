"""`ExampleSampler` under torch's `DataLoader`: workers, prefetch, persistent workers."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from headrace.errors import InputError
from headrace.sampling import ExampleSampler, Indexed

DATA = [(torch.tensor([float(i)]), i % 3) for i in range(23)]


def _loader(sampler, workers=0, **settings):
    if sampler.batch_size is None:
        return DataLoader(Indexed(DATA), sampler=sampler, batch_size=4, num_workers=workers, **settings)
    return DataLoader(Indexed(DATA), batch_sampler=sampler, num_workers=workers, **settings)


@pytest.mark.parametrize("batch_size", [None, 4])
def test_a_loader_gives_what_the_sampler_says(batch_size):
    loader = _loader(ExampleSampler(23, batch_size=batch_size))
    for _ in range(2):
        indices = []
        for index, (inputs, targets) in loader:
            assert (inputs[:, 0] == index).all()
            assert (targets == index % 3).all()
            indices.extend(index.tolist())
        assert sorted(indices) == list(range(23))
    assert len(loader) == 6


def test_persistent_workers_and_prefetch_follow_the_epochs():
    sampler = ExampleSampler(23, batch_size=4, seed=1)
    alone = ExampleSampler(23, batch_size=4, seed=1)
    loader = _loader(sampler, workers=1, persistent_workers=True, prefetch_factor=2)
    for epoch in (0, 1, 5):
        sampler.set_epoch(epoch)
        alone.set_epoch(epoch)
        assert [index.tolist() for index, _ in loader] == list(alone)


def test_new_weights_act_at_the_next_epoch_under_prefetch():
    weights = np.zeros(23)
    weights[5] = 1.0
    loader = _loader(ExampleSampler(weights, batch_size=4), workers=1, prefetch_factor=2)
    for step, (index, _) in enumerate(loader):
        assert set(index.tolist()) == {5}
        if step == 1:
            weights[:] = 0.0
            weights[8] = 1.0
    assert {i for index, _ in loader for i in index.tolist()} == {8}


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("batch_size", [None, 4])
def test_the_rest_of_a_broken_off_epoch_is_walked_by_any_loader(batch_size, workers):
    sampler = ExampleSampler(23, batch_size=batch_size)
    walk = iter(sampler)
    taken = [next(walk) for _ in range(2)]
    other = ExampleSampler(23, batch_size=batch_size)
    other.load_state_dict(sampler.state_dict())
    before = taken if batch_size is None else [i for batch in taken for i in batch]
    rest = [i for index, _ in _loader(other, workers=workers) for i in index.tolist()]
    assert sorted(before + rest) == list(range(23))
    # The next epoch is whole again.
    again = [i for index, _ in _loader(other, workers=workers) for i in index.tolist()]
    assert sorted(again) == list(range(23))


def test_resume_under_prefetch_counts_what_was_trained_on():
    sampler = ExampleSampler(23, batch_size=4)
    walk = iter(_loader(sampler, workers=1, prefetch_factor=3))
    seen = [next(walk)[0].tolist() for _ in range(2)]
    state = sampler.state_dict(done=2)
    assert state["position"] == 8
    other = ExampleSampler(23, batch_size=4)
    other.load_state_dict(state)
    rest = [index.tolist() for index, _ in _loader(other)]
    assert seen + rest == list(ExampleSampler(23, batch_size=4))


def test_single_examples_know_how_far_they_came():
    sampler = ExampleSampler(23)
    walk = iter(sampler)
    first = [next(walk) for _ in range(7)]
    state = sampler.state_dict()
    assert state["position"] == 7
    other = ExampleSampler(23)
    other.load_state_dict(state)
    assert first + list(other) == list(ExampleSampler(23))


class Rows(list):
    """A list of dicts that counts how often it is asked for a batch at once."""

    asked = 0

    def __getitems__(self, indices):
        self.asked += 1
        return [self[index] for index in indices]


def test_items_that_are_dicts_carry_their_index_under_a_key():
    rows = Rows({"x": float(i), "text": f"t{i}"} for i in range(10))
    batches = list(DataLoader(Indexed(rows, key="row"), batch_size=4))
    assert [batch["row"].tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert batches[1]["text"] == ["t4", "t5", "t6", "t7"]
    assert rows.asked == 3
    assert Indexed(rows, key="row")[3] == {"x": 3.0, "text": "t3", "row": 3}
    assert "row" not in rows[3]
    assert Indexed(rows)[3] == (3, rows[3])


@pytest.mark.parametrize(
    ("items", "key", "message"),
    [([1, 2], "index", "items must be dicts"), ([{"index": 1}], "index", "has this key"), ([1], 3, "key")],
)
def test_a_key_that_cannot_hold_the_index_is_refused(items, key, message):
    with pytest.raises(InputError, match=message):
        Indexed(items, key=key)[0]
