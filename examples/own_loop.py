"""A plain PyTorch loop that keeps a history of its examples and is fed by a policy.

The lines marked `# headrace` are all that differs from the loop without. Run it with the name of any policy:

    python examples/own_loop.py --policy importance-prediction-variance

One loop serves every policy: `narrow` lets those that choose within batches choose and does nothing for the
others, the history and the window of labels are there for those that read them. In a loop for one policy
leave out what it does not need. `rho-loss` alone also needs losses under a model of held-out data.
"""

import argparse

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import headrace  # headrace
from headrace import random

EPOCHS = 10
N = 1400
"""Examples to train on."""


def main(policy: str = "weight-difficulty") -> float:
    """Train on 1,400 of the digits; returns the test error."""
    digits = load_digits()
    inputs = torch.tensor(digits.data / 16.0, dtype=torch.float32)
    targets = torch.tensor(digits.target)
    train = TensorDataset(inputs[:N], targets[:N])

    model = new_model("model")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    each_loss = nn.CrossEntropyLoss(reduction="none")

    history, window = headrace.History(N), headrace.LabelWindow(N, 10)  # headrace
    rule = headrace.policies.make_policy(policy)  # headrace
    known = {"history": history, "label_window": window, "holdout_losses": holdout(rule, train)}  # headrace
    sampler = headrace.ExampleSampler(N, policy=rule, batch_size=32, epochs=EPOCHS, **known)  # headrace
    indexed = headrace.sampling.Indexed(train)  # headrace: a batch carries its indices
    loader = DataLoader(indexed, batch_sampler=sampler)  # headrace: instead of train, shuffle=True

    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)  # headrace
        for index, (x, y) in loader:  # headrace: instead of x, y
            index, x, y, weights = sampler.narrow(index, x, y, model, each_loss)  # headrace  # noqa: PLW2901
            outputs = model(x)
            history.record(index, outputs.detach(), y)  # headrace
            window.record(index, outputs.detach())  # headrace
            loss = (weights * each_loss(outputs, y)).mean()  # headrace: instead of each_loss(..).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    model.eval()
    with torch.no_grad():
        error = (model(inputs[N:]).argmax(1) != targets[N:]).float().mean().item()
    print(f"{policy}: test error {error:.3f} after {EPOCHS} epochs")
    return error


def new_model(name: str) -> nn.Module:
    with random.torch_stream(0, name):
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def holdout(rule: headrace.policies.Policy, train: TensorDataset) -> np.ndarray | None:
    """For `rho-loss`: each example's loss under a model that was trained on the half without it."""
    if "holdout_losses" not in rule.needs:
        return None
    inputs, targets = train.tensors
    losses = torch.empty(len(targets))
    for mine, others in ((0, 1), (1, 0)):
        model = new_model(f"holdout {mine}")
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for _ in range(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[mine::2]), targets[mine::2]).backward()
            optimizer.step()
        with torch.no_grad():
            outputs = model(inputs[others::2])
            losses[others::2] = nn.functional.cross_entropy(outputs, targets[others::2], reduction="none")
    return losses.numpy()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--policy", default="weight-difficulty", help="the name of any policy")
    try:
        main(parser.parse_args().policy)
    except headrace.errors.InputError as error:
        parser.error(str(error))
