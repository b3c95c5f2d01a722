"""Lightning: a resumed training is the uninterrupted one, and a sampler in place of ours is refused."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from extras.launching import launched
from headrace import ExampleSampler, History
from headrace.integrations.lightning import Feeding
from headrace.policies import make_policy
from headrace.random import torch_generator, torch_stream

N, EPOCHS = 40, 3
INPUTS = torch.randn(N, 5, generator=torch_generator(0, "inputs"))
DATA = [(row, int(row[0] > 0)) for row in INPUTS]


class Module(pl.LightningModule):
    def __init__(self, feed: Feeding, stop: int | None) -> None:
        super().__init__()
        with torch_stream(0, "module"):
            self.model = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.3), nn.Linear(8, 2))
        self.feed, self.stop, self.fed = feed, stop, []

    def training_step(self, batch, _):
        index, (inputs, targets) = batch
        outputs = self.model(inputs)
        self.feed.history.record(index, outputs.detach(), targets)
        self.fed.append(index.tolist())
        each = nn.functional.cross_entropy(outputs, targets, reduction="none")
        return (self.feed.sampler.weights_for(index) * each).mean()

    def validation_step(self, batch, _):
        return self.model(batch[0]).sum() + torch.rand(())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.2, momentum=0.9)

    def on_train_batch_start(self, *_):
        if self.trainer.global_step == self.stop:
            raise Stopped


class Stopped(Exception):
    """The process ends, as it were."""


def trained(folder: Path, stop: int | None = None, resume: str | None = None, workers: int = 0) -> Module:
    history = History(N)
    policy = make_policy("importance-prediction-variance")
    feed = Feeding(ExampleSampler(N, policy=policy, history=history, batch_size=6, seed=3), history)
    every = pl.callbacks.ModelCheckpoint(folder, every_n_train_steps=1, save_top_k=-1, filename="{step}")
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        callbacks=[feed, every],
        logger=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=1,
    )
    module = Module(feed, stop)
    validation = torch.utils.data.DataLoader(DATA[:8], batch_size=4)
    loader = feed.loader(DATA, num_workers=workers)
    if stop is None:
        torch.manual_seed(7)
        trainer.fit(
            module, loader, validation, ckpt_path=resume, **({"weights_only": False} if resume else {})
        )
    else:
        torch.manual_seed(7)
        with pytest.raises(Stopped):
            trainer.fit(module, loader, validation)
    return module


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Module:
    return trained(tmp_path_factory.mktemp("whole"))


def weights(module: Module) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in module.parameters()])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [3, 7, 10, 14])
def test_a_resumed_training_is_the_uninterrupted_one_to_the_bit(tmp_path, whole, stop, workers):
    first = trained(tmp_path, stop=stop)
    again = trained(tmp_path / "b", resume=str(tmp_path / f"step={stop}.ckpt"), workers=workers)
    assert first.fed + again.fed == whole.fed
    assert torch.equal(again.feed.history.state_dict()["table"], whole.feed.history.state_dict()["table"])
    assert torch.equal(weights(again), weights(whole))


def test_every_epoch_is_the_samplers(whole):
    alone = ExampleSampler(N, batch_size=6, seed=3)
    assert len(whole.fed) == EPOCHS * len(alone)
    assert whole.feed.history.count.sum() == EPOCHS * N


def test_two_processes_train_on_the_batches_of_one_and_a_sampler_of_lightnings_is_refused(tmp_path):
    (one,) = launched("ranks_lightning.py", tmp_path / "a", 1)
    two = launched("ranks_lightning.py", tmp_path / "b", 2)
    right = [each["right"] for each in two]
    batches = [[*chain(*parts)] for parts in zip(*(each["fed"] for each in right), strict=True)]
    assert batches == one["right"]["fed"]
    assert torch.allclose(right[0]["weights"], one["right"]["weights"], atol=1e-6)
    assert torch.equal(right[0]["table"], right[1]["table"])
    for each in two:
        for step in (3, 4):
            resumed, whole = each[f"resumed-{step}"], each["right"]
            assert resumed["fed"] == whole["fed"][step:]
            assert torch.equal(resumed["table"], whole["table"])
            assert torch.equal(resumed["weights"], whole["weights"])
        assert "use_distributed_sampler=False" in each["batches"]["said"]
        assert "Lightning's use_distributed_sampler would divide" in each["singles"]["said"]
