"""torchdata's StatefulDataLoader keeps the sampler's state without further code, also in mid-epoch."""

from __future__ import annotations

import pytest
import torch
from torchdata.stateful_dataloader import StatefulDataLoader

from headrace import ExampleSampler, History
from headrace.errors import InputError
from headrace.policies import make_policy
from headrace.sampling import Indexed

N, EPOCHS = 40, 3
TARGETS = torch.arange(N) % 3


class Loop:
    """A training that feeds what it sees back into an adaptive policy, and keeps what it was fed."""

    def __init__(self, workers: int) -> None:
        self.history = History(N)
        policy = make_policy("importance-prediction-variance")
        self.sampler = ExampleSampler(
            N, policy=policy, history=self.history, batch_size=6, epochs=EPOCHS, seed=3
        )
        self.loader = StatefulDataLoader(Indexed(TARGETS), batch_sampler=self.sampler, num_workers=workers)
        self.fed: list[tuple[list[int], list[float]]] = []

    def run(self, stop: int | None = None, begin: int = 0, after: int | None = None) -> dict | None:
        for epoch in range(begin, EPOCHS):
            self.sampler.set_epoch(epoch)
            for index, targets in self.loader:
                weights = self.sampler.weights_for(index)
                logits = torch.sin(index[:, None] * torch.arange(1, 4) + len(self.fed))
                self.history.record(index, logits, targets)
                self.fed.append((index.tolist(), weights.tolist()))
                if len(self.fed) == stop:
                    return self.state()
            if epoch == after:
                return self.state()
        return None

    def state(self) -> dict:
        return {"loader": self.loader.state_dict(), "history": self.history.state_dict()}

    def load(self, other: Loop, state: dict) -> None:
        self.loader.load_state_dict(state["loader"])
        self.history.load_state_dict(state["history"])
        self.fed = list(other.fed)


# Batches per epoch: 7.
STOPS = [({"stop": 4}, 0), ({"stop": 7}, 0), ({"stop": 7}, 1), ({"stop": 10}, 1), ({"stop": 14}, 1)]
ENDS = [({"after": 0}, 0), ({"after": 0}, 1), ({"after": 1}, 1), ({"after": 1}, 2)]


@pytest.fixture(scope="module", params=[0, 2])
def whole(request: pytest.FixtureRequest) -> tuple[int, list]:
    loop = Loop(request.param)
    loop.run()
    return request.param, loop.fed


@pytest.mark.parametrize(("stop", "begin"), STOPS + ENDS)
def test_a_resumed_loader_feeds_what_an_uninterrupted_one_does(
    whole: tuple[int, list], stop: dict, begin: int
) -> None:
    workers, fed = whole
    first, second = Loop(workers), Loop(workers)
    second.load(first, first.run(**stop))
    second.run(begin=begin)
    assert second.fed == fed


@pytest.mark.parametrize(("stop", "begin"), [({"stop": 4}, 1), ({"stop": 10}, 0), ({"after": 0}, 2)])
def test_a_loop_that_begins_at_another_epoch_is_refused(stop: dict, begin: int) -> None:
    first, second = Loop(0), Loop(0)
    second.load(first, first.run(**stop))
    with pytest.raises(
        InputError, match=r"saved (in the middle|after the end) of epoch [01].*Begin the loop"
    ):
        second.run(begin=begin)
