"""One of two processes of torchrun: rank 0 tries the engine out, rank 1 follows it."""

from __future__ import annotations

import sys

from headrace.engines.testing import NUMBERS, MakeBench, check_engine
from headrace.engines.torchrun import TorchrunEngine, follow, rank


def main(mode: str) -> None:
    together = mode == "together"
    if rank() > 0:
        outcome = follow(MakeBench(), device="cpu", together=together, numbers=NUMBERS)
        sys.stdout.write(f"rank {rank()} heard: {outcome}\n")
        return
    engine = TorchrunEngine("cpu", together=together)
    engine.outcome = "the outcome"
    check_engine(lambda: engine, once=True)
    sys.stdout.write("rank 0 holds\n")


if __name__ == "__main__":
    main(sys.argv[1])
