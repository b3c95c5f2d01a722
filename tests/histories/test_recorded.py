"""What may be recorded: every form that loops have is taken, or refused by name and nothing changes."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from headrace.errors import InputError
from headrace.histories import History, LabelWindow, LossHistory
from headrace.policies import make_policy
from headrace.sampling import ExampleSampler

LOGITS = torch.tensor([[2.0, 0.0, 1.0], [0.5, 3.0, 0.0], [0.0, 0.0, 4.0], [1.0, 2.0, 0.0]])
TARGETS = torch.tensor([0, 1, 2, 0])
INDEX = torch.arange(4)


def recorded(index=INDEX, logits=LOGITS, targets=TARGETS, **more):
    history = History(4)
    history.record(index, logits, targets, **more)
    return history


@pytest.mark.parametrize(
    "given",
    [
        {"index": INDEX.int()},
        {"index": [0, 1, 2, 3]},
        {"index": INDEX.numpy().astype(np.int16)},
        {"targets": TARGETS.to(torch.uint8)},
        {"targets": TARGETS.tolist()},
        {"logits": LOGITS.double()},
        {"logits": LOGITS.numpy()},
        {"logits": LOGITS.bfloat16()},
        {"logits": LOGITS.half().requires_grad_()},
        {"keep": [True] * 4},
    ],
)
def test_forms_that_are_taken(given):
    assert torch.equal(recorded(**given).table.tensor, recorded().table.tensor)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"keep": torch.tensor([1, 0, 1, 1])}, r"keep: a boolean tensor.*got .*int64.*keep\.bool"),
        ({"keep": torch.tensor([True])}, "keep: a boolean tensor with one entry for each of the batch's 4"),
        ({"keep": torch.ones(4)}, "keep: a boolean tensor"),
        ({"targets": torch.eye(3)[TARGETS]}, r"targets: an integer tensor.*one-hot or soft.*argmax\(1\)"),
        ({"targets": torch.eye(3)[TARGETS].long()}, "targets: an integer tensor"),
        ({"targets": TARGETS.float()}, "targets: an integer tensor"),
        ({"targets": torch.tensor([0, 1, 3, 0])}, "targets: out of range, 3 are known; got 3"),
        ({"targets": torch.tensor([0, 1, -100, 0])}, "targets: out of range.*got -100.*keep"),
        ({"index": torch.tensor([0, 1, 2, -1])}, "index: out of range, 4 are known; got -1"),
        ({"index": torch.tensor(2)}, "index: an integer tensor"),
        ({"index": INDEX.bool()}, "index: an integer tensor"),
        ({"index": None}, "index: must be a tensor"),
        ({"index": "abcd"}, "index: must be a tensor"),
        ({"logits": LOGITS.long()}, r"logits: must be a floating tensor.*int64.*\.float"),
        ({"logits": LOGITS.tolist()}, "logits: must be a floating tensor"),
        ({"logits": LOGITS.unsqueeze(1)}, "logits: must be a floating tensor.*Flatten"),
        ({"logits": LOGITS.to(torch.complex64)}, "logits: must be a floating tensor"),
    ],
)
def test_forms_that_are_refused_change_nothing(given, message):
    history = recorded()
    before = history.table.tensor.clone()
    with pytest.raises(InputError, match=message):
        history.record(**{"index": INDEX, "logits": LOGITS, "targets": TARGETS} | given)
    assert torch.equal(history.table.tensor, before)


def test_masked_rows_leave_no_trace_whatever_they_hold():
    history = History(4)
    targets = torch.tensor([0, -100, 2, 7])
    history.record(INDEX, LOGITS, targets, keep=targets.clamp(0, 2) == targets)
    assert history.count.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("losses", [torch.tensor(1.0), torch.ones(4, 5), torch.ones(3), [1.0] * 4, TARGETS])
def test_losses_are_one_floating_number_per_example(losses):
    history = LossHistory(4)
    with pytest.raises(InputError, match=r"losses: must be a floating|index: an integer tensor"):
        history.record(INDEX, losses)
    assert history.count.sum() == 0


def test_a_label_window_does_not_count_a_row_without_a_highest_logit():
    window = LabelWindow(4, 3)
    logits = LOGITS.clone()
    logits[1, 2] = math.nan
    logits[2, 0] = -math.inf
    window.record(INDEX, logits)
    assert window.count.tolist() == [1, 0, 1, 1]
    assert window.most_frequent().tolist() == [0, -1, 2, 1]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(
    "policy", ["sample-difficulty", "weight-easiness", "infobatch", "focal", "self-paced"]
)
def test_policies_refuse_a_history_that_is_not_finite(policy, bad):
    logits = LOGITS.clone()
    logits[2, 1] = bad
    sampler = ExampleSampler(4, policy=make_policy(policy), history=recorded(logits=logits), epochs=2)
    with pytest.raises(InputError, match="history: the losses recorded for example 2 are not finite"):
        iter(sampler)


def test_a_copy_of_a_history_is_no_longer_heard_by_the_sampler():
    history = History(4)
    sampler = ExampleSampler(4, batch_size=2, history=history)
    other = copy.deepcopy(history)
    first = torch.tensor(next(iter(sampler)))
    other.record(first, LOGITS[first], TARGETS[first])
    assert not sampler._epochs.course._walks[-1].recorded.any
    history.record(first, LOGITS[first], TARGETS[first])
    assert sampler._epochs.course._walks[-1].recorded.any


def test_moved_to_the_host_a_history_refuses_at_once_again():
    history = History(4).to("cpu")
    with pytest.raises(InputError, match="index: out of range"):
        history.record(torch.tensor([4]), LOGITS[:1], TARGETS[:1])


@pytest.mark.parametrize("attribute", ["shape", "dtype"])
def test_tables_of_other_libraries_are_refused(attribute):
    """A data frame has a shape and no type of its own."""
    frame = type("Frame", (), {attribute: (4, 3)})()
    with pytest.raises(InputError, match="logits: must be a floating tensor"):
        recorded(logits=frame)
