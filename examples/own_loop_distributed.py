"""The loop of `own_loop.py` in several processes, each of which trains on its part of every batch.

The lines marked `# distributed` are all that differs from that loop. Run it with the name of a policy:

    torchrun --nproc-per-node 2 examples/own_loop_distributed.py --policy weight-difficulty

`batch_size` is that of all processes together, and the batches are those of one process. Policies that choose
within batches are not for this loop: they need all candidates' inputs in every process, as
`headrace.training.loop.train` has them. Nor is `recency-bias`: only the history is merged.
"""

import argparse

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

import headrace  # headrace
from headrace import random
from headrace.training import parallel

EPOCHS = 10
N = 1400
"""Examples to train on."""


def main(policy: str = "weight-difficulty") -> float:
    """Train on 1,400 of the digits; returns the test error."""
    parallel.join("cpu")  # distributed
    digits = load_digits()
    inputs = torch.tensor(digits.data / 16.0, dtype=torch.float32)
    targets = torch.tensor(digits.target)
    train = TensorDataset(inputs[:N], targets[:N])

    with random.torch_stream(0, "model"):
        model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    model = DistributedDataParallel(model)  # distributed
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    each_loss = nn.CrossEntropyLoss(reduction="none")

    history = headrace.History(N)  # headrace
    shared = headrace.SharedHistory(history)  # distributed
    rule = headrace.policies.make_policy(policy)  # headrace
    # The sampler finds its rank in the process group, and shares out the batches.
    sampler = headrace.ExampleSampler(N, policy=rule, batch_size=32, epochs=EPOCHS, history=history)
    indexed = headrace.sampling.Indexed(train)  # headrace: a batch carries its indices
    loader = DataLoader(indexed, batch_sampler=sampler)  # headrace: instead of train, shuffle=True

    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)  # headrace
        for index, (x, y) in loader:  # headrace: instead of x, y
            outputs = model(x)
            history.record(index, outputs.detach(), y)  # headrace
            loss = parallel.global_mean(
                sampler.weights_for(index) * each_loss(outputs, y)
            )  # instead of .mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        shared.merge()  # distributed

    model.eval()
    with torch.no_grad():
        error = (model(inputs[N:]).argmax(1) != targets[N:]).float().mean().item()
    if dist.get_rank() == 0:
        print(f"{policy}: test error {error:.3f} after {EPOCHS} epochs on {dist.get_world_size()} processes")
    return error


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--policy", default="weight-difficulty")
    main(parser.parse_args().policy)
