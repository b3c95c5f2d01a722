"""What the integrations are made of, without the packages that they are for."""

from __future__ import annotations

import copy
from itertools import chain

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from headrace.errors import DamagedError, InputError
from headrace.histories import History, SharedHistory
from headrace.integrations import states
from headrace.integrations.agreement import shift_of
from headrace.integrations.loading import INDEX, Feed, fed
from headrace.integrations.losses import each_loss, items_of, logits_of
from headrace.integrations.needed import needed
from headrace.sampling import ExampleSampler


def test_a_state_of_any_nesting_comes_back(tmp_path):
    state = {"a": [1, None, {"b": torch.arange(3), "c": "text"}], "d": torch.ones(2, 2), "e": []}
    states.write(tmp_path / "s", state)
    again = states.read(tmp_path / "s")
    assert torch.equal(again["a"][2].pop("b"), torch.arange(3))
    assert torch.equal(again.pop("d"), torch.ones(2, 2))
    assert again == {"a": [1, None, {"c": "text"}], "e": []}
    content = bytearray((tmp_path / "s").read_bytes())
    content[-1] ^= 1
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(DamagedError):
        states.read(tmp_path / "s")


def test_losses_are_those_of_torch_by_the_kind_of_labels():
    logits, tokens = torch.randn(4, 3), torch.randn(4, 5, 3)
    classes, rows = torch.tensor([0, 2, 1, 1]), torch.randint(0, 3, (4, 5))
    rows[0, 2:] = -100
    entropy = nn.functional.cross_entropy
    assert torch.allclose(each_loss(logits, classes).means.mean(), entropy(logits, classes))
    whole = each_loss(tokens, rows)
    assert torch.allclose(whole.sums.sum() / whole.items.sum(), entropy(tokens.flatten(0, 1), rows.flatten()))
    late = each_loss(tokens, rows, shift=True)
    assert late.items.tolist() == items_of(rows, shift=True).tolist() == [1, 4, 4, 4]
    expected = entropy(tokens[:, :-1].flatten(0, 1), rows[:, 1:].flatten())
    assert torch.allclose(late.sums.sum() / late.items.sum(), expected)
    numbers = torch.randn(4)
    assert torch.allclose(each_loss(logits[:, :1], numbers).means, (logits[:, 0] - numbers) ** 2)
    both = torch.randint(0, 2, (4, 3)).float()
    mean = nn.functional.binary_cross_entropy_with_logits(logits, both)
    assert torch.allclose(each_loss(logits, both).means.mean(), mean)
    with pytest.raises(InputError, match=r"no known kind of task.*each_loss="):
        each_loss(logits, rows)


@pytest.mark.parametrize("outputs", [torch.ones(2), (torch.ones(2),), {"logits": torch.ones(2)}])
def test_logits_are_found(outputs):
    assert torch.equal(logits_of(outputs), torch.ones(2))


@pytest.mark.parametrize("outputs", [None, {"loss": torch.ones(2)}, (), "text"])
def test_outputs_without_logits_are_refused(outputs):
    with pytest.raises(InputError, match="returned no logits"):
        logits_of(outputs)


class Tokens(nn.Module):
    """Tells a loss that is shifted, or not, or another."""

    def __init__(self, shift: bool, off: float = 0.0) -> None:
        super().__init__()
        self.shift, self.off = shift, off

    def forward(self, inputs, labels=None):
        losses = each_loss(inputs, labels, shift=self.shift)
        return {"logits": inputs, "loss": losses.sums.sum() / losses.items.sum() + self.off}


@pytest.mark.parametrize("shift", [True, False])
def test_a_model_is_asked_whether_its_labels_are_shifted(shift):
    batch = {"inputs": torch.randn(4, 6, 3), "labels": torch.randint(0, 3, (4, 6))}
    model = Tokens(shift)
    assert shift_of(model, batch, batch["labels"]) is shift
    assert model.training
    with pytest.raises(InputError, match=r"model's own loss is not the one"):
        shift_of(Tokens(shift, 1.0), batch, batch["labels"])


def test_a_fed_loader_gives_the_rest_of_an_epoch_after_placeholders():
    merges = []
    sampler = ExampleSampler(10, batch_size=3, seed=1)
    plain = DataLoader([{"x": float(i)} for i in range(10)], batch_size=2)
    feed = Feed(sampler, lambda: merges.append(sampler.epoch))
    first = [batch[INDEX].tolist() for batch in fed(plain, feed)]
    assert sorted(chain(*first)) == list(range(10))
    assert merges == [0]
    feed.skip = 2
    assert [*feed][:2] == [[], []]
    assert merges == [0]


def test_a_package_that_is_missing_is_named_with_its_extra():
    with pytest.raises(InputError, match=r"nowhere_at_all.*pip install '\.\[some\]'"):
        needed("nowhere_at_all", "some")


def test_states_of_several_ranks_are_merged_by_one():
    """Two ranks that went on from one past, saved between merges: as if one history had seen all."""
    logits, targets = torch.randn(3, 8, 4), torch.arange(8) % 4
    whole, base = History(8), History(8)
    for history in (whole, base):
        history.record(torch.arange(8), logits[0], targets)
    ranks = [copy.deepcopy(base) for _ in range(2)]
    for place, history in enumerate(ranks):
        half = torch.arange(8)[place::2]
        for one in (history, whole):
            one.record(half, logits[1, half], targets[half])
    shares = base.table.tensor.view(2, 4, -1)
    saved = [
        {"rank": rank, "ranks": 2, "history": history.state_dict(), "base": [shares[rank].clone()]}
        for rank, history in enumerate(ranks)
    ]
    again = SharedHistory(History(8))
    again.load_state_dict(*saved)
    assert torch.equal(again.history.table.tensor, whole.table.tensor)
    with pytest.raises(InputError, match="those of all ranks"):
        again.load_state_dict(saved[1])
