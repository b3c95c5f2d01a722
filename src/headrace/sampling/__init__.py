"""From weights to indices: exact draws, the sampler for data loaders, and the partition among workers.

The draws and the partition need no torch; the sampler is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.lazy import names_of
from headrace.sampling.draws import draw_with_replacement, draw_without_replacement, permutation
from headrace.sampling.partition import partition

if TYPE_CHECKING:
    from headrace.sampling.batches import Batch, shuffled_batches
    from headrace.sampling.indexed import Indexed
    from headrace.sampling.sampler import ExampleSampler

_HOMES = {
    "ExampleSampler": ".sampler",
    "Indexed": ".indexed",
    "Batch": ".batches",
    "shuffled_batches": ".batches",
}

__all__ = [
    "Batch",
    "ExampleSampler",
    "Indexed",
    "draw_with_replacement",
    "draw_without_replacement",
    "partition",
    "permutation",
    "shuffled_batches",
]

__getattr__ = names_of(__name__, _HOMES)
