"""Named random streams: a root seed and a path of names give an independent generator.

The same call gives the same stream, regardless of what ran before and on which worker. Streams are
made by `numpy.random.SeedSequence` with a spawn key, never by arithmetic on seeds: `seed + epoch`
makes run 0's second epoch equal to run 1's first.
"""

from __future__ import annotations

import hashlib
import random as python_random
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

ACCELERATORS = ("cuda", "mps", "xpu")
"""Kinds of devices with generators of their own, which `torch.manual_seed` seeds."""

Name = str | int
"""One step of a stream's path: a word, or a number such as a trial or an epoch."""


def _key(name: Name) -> tuple[int, ...]:
    """Four 32-bit words that a name hashes to; the type is hashed too, so `1` and `"1"` differ."""
    digest = hashlib.sha256(f"{type(name).__name__}:{name}".encode("utf-8", "surrogatepass")).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))


def sequence(seed: int, *path: Name) -> np.random.SeedSequence:
    """The seed sequence of the stream named `path` under the root `seed` (a non-negative integer)."""
    return np.random.SeedSequence(seed, spawn_key=tuple(word for name in path for word in _key(name)))


def generator(seed: int, *path: Name) -> np.random.Generator:
    """A NumPy generator of the stream named `path`, for example `generator(0, "order", epoch)`."""
    return np.random.default_rng(sequence(seed, *path))


def integer_seed(seed: int, *path: Name) -> int:
    """A 63-bit integer from the stream named `path`, for libraries that take a number."""
    return int(sequence(seed, *path).generate_state(1, np.uint64)[0] >> np.uint64(1))


def torch_generator(seed: int, *path: Name, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator of the stream named `path` on `device`."""
    import torch

    return torch.Generator(device=device).manual_seed(integer_seed(seed, *path))


class HostStream:
    """A stream of NumPy's and Python's global generators, to be swapped with their current state, and back.

    It serves code of others that draws from them, such as an augmentation.

    Args:
        seed: The root seed.
        path: The names of the stream.
    """

    def __init__(self, seed: int, *path: Name) -> None:
        twister = np.random.MT19937(sequence(seed, *path, "numpy"))
        self._numpy: Any = np.random.RandomState(twister).get_state()
        self._python = python_random.Random(integer_seed(seed, *path, "python")).getstate()

    def exchange(self) -> None:
        """Begin a block on the stream, or end it: the outer state and the stream's state are swapped."""
        numpy, python = np.random.get_state(), python_random.getstate()
        np.random.set_state(self._numpy)
        python_random.setstate(self._python)
        self._numpy, self._python = numpy, python


def host_state() -> object:
    """The state of NumPy's and Python's global generators: equal if nothing was drawn from them."""
    _, key, *rest = np.random.get_state()
    return np.asarray(key).tobytes(), *rest, python_random.getstate()


@contextmanager
def torch_stream(seed: int, *path: Name) -> Generator[None]:
    """Run a block (initialisation, dropout) on the stream `path`; all global state is put back after it.

    Torch's own initialisers and dropout read the global generators, so within the block these are
    seeded, on the CPU and on every accelerator; and so are NumPy's and Python's, for code that draws from
    them.
    """
    import torch

    host = HostStream(seed, *path)
    with ExitStack() as kept:
        for kind in ACCELERATORS:
            devices = getattr(torch, kind)
            # A loader's worker that was forked from a process with a GPU cannot use it, and does not seed it.
            count = 0 if getattr(devices, "_is_in_bad_fork")() else devices.device_count()  # noqa: B009
            kept.enter_context(torch.random.fork_rng(devices=range(count), device_type=kind))
        torch.manual_seed(integer_seed(seed, *path))
        host.exchange()
        try:
            yield
        finally:
            host.exchange()
