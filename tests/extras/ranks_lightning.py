"""Run by several processes: what each trains on by Lightning, with and without a sampler of its own."""

import sys
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from headrace import ExampleSampler, History
from headrace.errors import InputError
from headrace.integrations.lightning import Feeding
from headrace.policies import make_policy
from headrace.random import torch_stream
from headrace.sampling import Indexed

N = 32
DATA = [(torch.tensor([float(i % 5), i % 7]), i % 2) for i in range(N)]


class Module(pl.LightningModule):
    def __init__(self, feed: Feeding) -> None:
        super().__init__()
        with torch_stream(0, "module"):
            self.model = nn.Linear(2, 2)
        self.feed, self.fed = feed, []

    def training_step(self, batch, _):
        index, (inputs, targets) = batch
        outputs = self.model(inputs)
        self.feed.history.record(index, outputs.detach(), targets)
        self.fed.append(index.tolist())
        each = nn.functional.cross_entropy(outputs, targets, reduction="none")
        return (self.feed.sampler.weights_for(index) * each).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05)


def every_step(folder: str) -> pl.callbacks.ModelCheckpoint:
    return pl.callbacks.ModelCheckpoint(folder, every_n_train_steps=1, save_top_k=-1, filename="{step}")


def fit(
    ranks: int, *, own: bool, single: bool = False, keep: str | None = None, resume: str | None = None
) -> dict:
    history = History(N)
    policy = make_policy("importance-prediction-variance")
    size = {} if single else {"batch_size": 8}
    feed = Feeding(ExampleSampler(N, policy=policy, history=history, seed=1, **size), history)
    trainer = pl.Trainer(
        max_epochs=2,
        callbacks=[feed] if keep is None else [feed, every_step(keep)],
        logger=False,
        accelerator="cpu",
        devices=ranks,
        strategy="ddp",
        enable_progress_bar=False,
        enable_checkpointing=keep is not None,
        enable_model_summary=False,
        use_distributed_sampler=own,
    )
    module = Module(feed)
    loader = feed.loader(DATA)
    if single:
        loader = DataLoader(Indexed(DATA), sampler=feed.sampler, batch_size=8 // ranks)
    try:
        trainer.fit(module, loader, ckpt_path=resume, **({"weights_only": False} if resume else {}))
    except (InputError, TypeError) as error:
        return {"said": str(error)}
    weights = torch.cat([value.detach().flatten() for value in module.parameters()])
    return {"fed": module.fed, "weights": weights, "table": history.state_dict()["table"]}


def main(folder: str, ranks: int) -> None:
    kept = f"{folder}/kept"
    found = {"right": fit(ranks, own=False, keep=kept), "batches": fit(ranks, own=True)}
    for step in (3, 4) if ranks > 1 else ():
        found[f"resumed-{step}"] = fit(ranks, own=False, resume=f"{kept}/step={step}.ckpt")
    found["singles"] = fit(ranks, own=True, single=True)
    torch.save(found, Path(folder) / f"found-{torch.distributed.get_rank()}.pt")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
