"""A Lightning module fed by a policy; the lines marked `# headrace` are all that differs.

pip install '.[lightning]'
python examples/lightning_module.py --policy importance-prediction-variance
"""

import argparse

import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

import headrace  # headrace
from headrace.integrations.lightning import Feeding  # headrace

EPOCHS = 5
N = 1400
"""Examples to train on."""


class Digits(pl.LightningModule):
    """A network of two layers for pictures of digits."""

    def __init__(self, feed: Feeding) -> None:
        super().__init__()
        self.feed = feed  # headrace
        self.model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def training_step(self, batch, batch_idx):
        index, (x, y) = batch  # headrace: instead of x, y = batch
        outputs = self.model(x)
        self.feed.history.record(index, outputs.detach(), y)  # headrace
        each = nn.functional.cross_entropy(outputs, y, reduction="none")
        return (self.feed.sampler.weights_for(index) * each).mean()  # headrace: instead of each.mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def main(policy: str = "importance-prediction-variance") -> float:
    """Train on 1,400 of the digits; returns the test error."""
    digits = load_digits()
    inputs = torch.tensor(digits.data / 16.0, dtype=torch.float32)
    targets = torch.tensor(digits.target)
    train = TensorDataset(inputs[:N], targets[:N])

    history, rule = headrace.History(N), headrace.policies.make_policy(policy)  # headrace
    sampler = headrace.ExampleSampler(
        N, policy=rule, history=history, batch_size=32, epochs=EPOCHS
    )  # headrace
    feed = Feeding(sampler, history)  # headrace
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        callbacks=[feed],  # headrace
        use_distributed_sampler=False,  # headrace
        logger=False,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = Digits(feed)
    trainer.fit(module, feed.loader(train))  # headrace: instead of DataLoader(train, ...)

    with torch.no_grad():
        error = (module.model(inputs[N:]).argmax(1) != targets[N:]).float().mean().item()
    print(f"{policy}: test error {error:.3f} after {EPOCHS} epochs")
    return error


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--policy", default="importance-prediction-variance", help="the name of any policy")
    main(parser.parse_args().policy)
