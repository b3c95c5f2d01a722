"""Run by several processes: what each trains on by accelerate, and what is refused."""

import sys
from pathlib import Path

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from torch.utils.data import DataLoader

from headrace import ExampleSampler, History, SharedHistory
from headrace.errors import InputError
from headrace.integrations.accelerate import prepared
from headrace.policies import make_policy
from headrace.sampling import Indexed

N = 32
DATA = [(float(i), i % 3) for i in range(N)]


def refused(accelerator: Accelerator, **settings) -> str:
    """What is said of a loader in `prepare`, if it is walked without anything shown to the sampler."""
    loader = accelerator.prepare(DataLoader(Indexed(DATA), **settings))
    try:
        return str(sum(len(index) for index, _ in loader))
    except InputError as error:
        return str(error)


def main(folder: str, ranks: int) -> None:
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=3)
    history = History(N)
    shared = SharedHistory(history)
    policy = make_policy("importance-prediction-variance")
    sampler = ExampleSampler(N, policy=policy, history=history, batch_size=8, seed=1)
    loader = prepared(accelerator, DataLoader(Indexed(DATA), batch_sampler=sampler))
    model = torch.nn.Linear(1, 3)
    torch.nn.init.ones_(model.weight)
    torch.nn.init.zeros_(model.bias)
    model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.01))
    fed, steps = [], 0
    for epoch in range(3):
        shared.merge()
        sampler.set_epoch(epoch)
        for index, (inputs, targets) in loader:
            with accelerator.accumulate(model):
                outputs = model(inputs.float()[:, None])
                history.record(index, outputs.detach(), targets)
                each = torch.nn.functional.cross_entropy(outputs, targets, reduction="none")
                accelerator.backward((sampler.weights_for(index) * each).mean())
                optimizer.step()
                steps += int(accelerator.sync_gradients)
                optimizer.zero_grad()
            fed.append(index.tolist())
    whole = Accelerator(cpu=True, dataloader_config=DataLoaderConfiguration(dispatch_batches=True))
    weights = torch.cat([value.detach().flatten() for value in accelerator.unwrap_model(model).parameters()])
    found = {
        "fed": fed,
        "steps": steps,
        "weights": weights,
        "refused": [
            refused(accelerator, batch_sampler=ExampleSampler(N, batch_size=8)),
            refused(accelerator, sampler=ExampleSampler(N), batch_size=4),
        ],
        "dispatched": refused(whole, batch_sampler=ExampleSampler(N, batch_size=8)) if ranks == 1 else "",
    }
    torch.save(found, Path(folder) / f"found-{accelerator.process_index}.pt")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
