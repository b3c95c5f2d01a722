"""A named random stream for what draws from global generators (dropout, augmentation), in several blocks."""

from __future__ import annotations

import torch

from headrace.random import ACCELERATORS, HostStream, Name, torch_generator


class TorchStream:
    """A context manager that can be entered repeatedly and resumes where its last block ended.

    Within a block torch's global generators draw from the stream `path`; after it, their state is what it was
    before. So a generator function may draw between its `yield`s without changing what the caller draws.

    Args:
        seed: The root seed.
        path: The names of the stream.
        device: The device of the model; an accelerator's own generator has a stream as well.
        host: Whether NumPy's and Python's global generators have a stream too. Swapping them takes half a
            millisecond, so it is left out if nothing draws from them.
    """

    def __init__(
        self, seed: int, *path: Name, device: torch.device | str = "cpu", host: bool = False
    ) -> None:
        self._device = torch.device(device)
        self._cpu = torch_generator(seed, *path).get_state()
        self._there = (
            torch_generator(seed, *path, device=self._device).get_state()
            if self._device.type in ACCELERATORS
            else None
        )
        self._host = HostStream(seed, *path) if host else None

    def __enter__(self) -> None:
        """Begin a block: swap the global state for the stream's."""
        self._exchange()

    def __exit__(self, *_: object) -> None:
        """End a block: swap them back."""
        self._exchange()

    def _exchange(self) -> None:
        outside = torch.get_rng_state()
        torch.set_rng_state(self._cpu)
        self._cpu = outside
        if self._there is not None:
            generators = getattr(torch, self._device.type)
            outside = generators.get_rng_state(self._device)
            generators.set_rng_state(self._there, self._device)
            self._there = outside
        if self._host is not None:
            self._host.exchange()
