"""What every test may use: the real data sets where they are, and one thread per process."""

from __future__ import annotations

import torch
from hypothesis import settings

torch.set_num_threads(1)

# A busy machine is no reason for a property to fail.
settings.register_profile("headrace", deadline=None)
settings.load_profile("headrace")
