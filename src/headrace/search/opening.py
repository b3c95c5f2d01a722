"""Who does the jobs of a search: the cores of this machine, or the processes that torchrun started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.engines.processes import cores
from headrace.errors import InputError
from headrace.search.pool import Doer, Pool
from headrace.specs.search import SubsetSearch
from headrace.store.origins import OWN
from headrace.store.search_facts import Facts
from headrace.workloads.fingerprint import Fingerprint

if TYPE_CHECKING:
    from headrace.search.joined import JoinedPool

PROCESSES_PER_GPU = 4


def join(spec: SubsetSearch, processes: int | None) -> JoinedPool | None:
    """The processes that torchrun started, or None where this one is alone."""
    from headrace.search.joined import JoinedPool
    from headrace.training.parallel.joining import under_torchrun

    if not under_torchrun():
        return None
    if processes is not None:
        fix = "Leave it out: torchrun's --nproc-per-node says how many there are."
        raise InputError("has no effect under torchrun", where="processes", got=processes, fix=fix)
    return JoinedPool(spec)


class Opened:
    """A pool and what it found out; on GPUs, opened again with fewer workers where so many would not fit."""

    def __init__(self, spec: SubsetSearch, processes: int | None, joined: Doer | None) -> None:
        self._spec = spec
        self._processes = processes if joined is None else joined.processes
        self.pool: Doer = joined or Pool(spec, processes or cores())

    def __enter__(self) -> Opened:
        try:
            self.facts, *self.others = self._inspect()
            most = PROCESSES_PER_GPU * self.facts.gpus or self.pool.processes
            if self._processes is None and self.pool.processes > most:
                self.pool.close()
                self.pool = Pool(self._spec, most)
            numbers = (None, *range(len(self.others)))
            self.pool.expected = dict(zip(numbers, self.fingerprints.values(), strict=True))
        except BaseException:
            self.pool.close()
            raise
        return self

    @property
    def fingerprints(self) -> dict[str, Fingerprint]:
        """Of the search's workload, then of those that it is transferred to, by the transfers' names."""
        names = (OWN, *(table.label for table in self._spec.transfer))
        found = (facts.fingerprint for facts in (self.facts, *self.others))
        return {name: one for name, one in zip(names, found, strict=True) if one is not None}

    def __exit__(self, *_: object) -> None:
        self.pool.close()

    def _inspect(self) -> list[Facts]:
        """Of the search's workload, then of those that it is transferred to."""
        from headrace.trials.jobs import InspectJob

        others = [InspectJob(transfer=number) for number in range(len(self._spec.transfer))]
        return self.pool.do([InspectJob(), *others])
