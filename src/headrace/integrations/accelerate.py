"""accelerate: a loader whose sampler already gives each process its part, prepared without dividing it again.

model, optimizer = accelerator.prepare(model, optimizer)
loader = prepared(accelerator, DataLoader(Indexed(train), batch_sampler=sampler))
"""

from __future__ import annotations

from typing import Any

from torch.utils.data import DataLoader

from headrace.integrations.needed import needed

loading = needed("accelerate.data_loader", "transformers")


def prepared(accelerator: Any, loader: DataLoader[Any]) -> Any:
    """What `accelerator.prepare` makes of a loader, except that batches are not divided among processes.

    Batches come on the accelerator's device, and `accelerator.accumulate` sees the end of an epoch.

    Args:
        accelerator: The `accelerate.Accelerator`.
        loader: Its `ExampleSampler` gives each process its part of each batch.
    """
    return loading.prepare_data_loader(
        loader, accelerator.device, num_processes=1, process_index=0, put_on_device=True, rng_types=[]
    )
