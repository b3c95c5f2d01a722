"""Lightning: a callback that says the epoch, merges the processes' histories, and keeps the state.

    feed = Feeding(sampler, history)
    trainer = Trainer(callbacks=[feed], use_distributed_sampler=False)
    trainer.fit(module, feed.loader(train))

In the module's `training_step` a batch is `index, (inputs, targets)`; weigh by
`feed.sampler.weights_for(index)` and record in `feed.history`.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import torch.distributed as dist
from torch.utils.data import DataLoader

from headrace.histories import History, LossHistory, SharedHistory
from headrace.integrations.loading import Feed
from headrace.integrations.needed import needed
from headrace.sampling import ExampleSampler, Indexed

_PACKAGE = "lightning.pytorch" if "lightning.pytorch" in sys.modules else "pytorch_lightning"

lightning = needed(_PACKAGE, "lightning")


class Feeding(lightning.Callback):
    """Feeds a `Trainer` by a sampler; a training resumed from a checkpoint equals the uninterrupted one.

    Also the random numbers of dropout are those of the uninterrupted training, and validation draws none of
    them.

    Args:
        sampler: An `ExampleSampler` with `batch_size`, that of all processes together.
        history: The sampler's, in which `training_step` records.
    """

    def __init__(self, sampler: ExampleSampler, history: History | LossHistory) -> None:
        self.sampler = sampler
        self.history = history
        self._shared: SharedHistory | None = None
        self._inside = False
        self._random: dict[str, Any] | None = None
        self._kept: dict[str, Any] | None = None

    def loader(self, dataset: Any, **settings: Any) -> DataLoader[Any]:
        """The loader of the training set: batches are `index, item`.

        Args:
            dataset: Any map-style data set.
            settings: For `DataLoader`, such as `num_workers` and `collate_fn`.
        """
        feed: Any = Feed(self.sampler, self._before_epoch)
        return DataLoader(Indexed(dataset), batch_sampler=feed, **settings)

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Join the processes' histories."""
        if stage == "fit":
            self._shared = SharedHistory(self.history)

    def _before_epoch(self) -> None:
        # The rest of a resumed epoch is no new one: the histories are merged where they would have been.
        if self._shared is not None and not self._inside:
            self._shared.merge()
        self._inside = False

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Say the epoch, which Lightning says to no batch sampler."""
        self.sampler.set_epoch(trainer.current_epoch)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Put back the random numbers of a step in the middle of an epoch."""
        if self._random is not None:
            _set_random(self._random)
            self._random = None

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Give every process the whole history."""
        if self._shared is not None:
            self._shared.merge()

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Keep the random numbers of the training."""
        self._kept = _random()

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Put them back."""
        if self._kept is not None:
            _set_random(self._kept)

    def state_dict(self) -> dict[str, Any]:
        """What resumes exactly: the sampler's state, and the history and random numbers of each process."""
        shared = SharedHistory(self.history) if self._shared is None else self._shared
        mine = {"history": shared.state_dict(), "random": _random()}
        every: list[Any] = [mine]
        if shared.ranks > 1:
            every = [None] * shared.ranks
            dist.all_gather_object(every, mine)
        return {"sampler": self.sampler.state_dict(), "ranks": every}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume; the next walk continues where the sampler was."""
        shared = SharedHistory(self.history) if self._shared is None else self._shared
        every = state_dict["ranks"]
        mine = [every[shared.rank]] if len(every) == shared.ranks else every
        shared.load_state_dict(*(each["history"] for each in mine))
        self.sampler.load_state_dict(state_dict["sampler"])
        _set_random(mine[0]["random"])
        saved = state_dict["sampler"]
        self._inside = saved["items"] > 0 and not saved["finished"]
        self._random = mine[0]["random"] if self._inside else None


def _random() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _set_random(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
