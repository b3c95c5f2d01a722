"""What every test may use: the real data sets where they are, and one thread per process."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
