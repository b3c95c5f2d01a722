"""A plain PyTorch loop that keeps a history of its examples and is fed by a policy.

The lines marked `# headrace` are all that differs from the loop without. Run it with the name of any policy:

    python examples/own_loop.py importance-prediction-variance

Policies that choose within batches (gradient-norm, selective-backprop, rho-loss) take three lines more, see
`docs/own_loop.md`.
"""

import sys

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from headrace import random
from headrace.examples import History  # headrace
from headrace.policies import make_policy  # headrace
from headrace.sampling import ExampleSampler, Indexed  # headrace

EPOCHS = 10


def main(policy: str = "weight-difficulty") -> float:
    """Train on 1,400 of the digits; returns the test error."""
    digits = load_digits()
    inputs = torch.tensor(digits.data / 16.0, dtype=torch.float32)
    targets = torch.tensor(digits.target)
    train, test = TensorDataset(inputs[:1400], targets[:1400]), (inputs[1400:], targets[1400:])

    with random.torch_stream(0, "model"):
        model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    history = History(len(train))  # headrace
    rule = make_policy(policy)  # headrace
    sampler = ExampleSampler(1400, policy=rule, history=history, batch_size=32, epochs=EPOCHS)  # headrace
    loader = DataLoader(Indexed(train), batch_sampler=sampler)  # headrace: instead of shuffle=True

    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)  # headrace
        for index, (x, y) in loader:  # headrace: the batch carries its indices
            outputs = model(x)
            losses = nn.functional.cross_entropy(outputs, y, reduction="none")
            history.record(index, outputs.detach(), y)  # headrace
            loss = (sampler.weights_for(index) * losses).mean()  # headrace: instead of losses.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    model.eval()
    with torch.no_grad():
        error = (model(test[0]).argmax(1) != test[1]).float().mean().item()
    print(f"{policy}: test error {error:.3f} after {EPOCHS} epochs")
    return error


if __name__ == "__main__":
    main(*sys.argv[1:2])
