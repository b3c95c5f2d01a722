"""Who does the jobs of a search: this process, the cores of this machine, or the processes of torchrun."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from headrace.engines import torchrun
from headrace.engines._base import Engine, Handle, Report, do_all, each_done
from headrace.engines.local import LocalEngine
from headrace.engines.processes import cores
from headrace.engines.registry import make_engine
from headrace.errors import InputError
from headrace.specs.search import SubsetSearch
from headrace.store.members import Voters
from headrace.store.origins import OWN
from headrace.store.search_facts import Facts
from headrace.trials.jobs import Expected, Inspect, SearchJob
from headrace.trials.opening import MakeSearchBench
from headrace.workloads.fingerprint import Fingerprint

PROCESSES_PER_GPU = 4


def follows() -> bool:
    """Whether this process does what another one, which searches, asks for."""
    return torchrun.rank() > 0


def follow(spec: SubsetSearch, processes: int | None) -> Any:
    """Do one's share of the jobs of the process that searches, until its end; what it came to."""
    _check_processes(processes)
    return torchrun.follow(MakeSearchBench(spec), device=_device(spec), together=False)


class Workers:
    """The workers of a search, as a context manager that ends them.

    On GPUs there are fewer than the cores, unless they were asked for.

    Args:
        spec: The search.
        processes: How many; None for one per core, or a few for each GPU.
        engine: Where they are, by its name in `engines.registry`; under torchrun it has no effect.

    Attributes:
        facts: Facts about the search's workload, once they are opened.
        others: Likewise of the workloads that it transfers to.

    Raises:
        InputError: Under torchrun a number of processes was asked for.
    """

    def __init__(self, spec: SubsetSearch, processes: int | None, engine: str = "local") -> None:
        self._spec = spec
        self._processes = processes
        self._expected: Expected = {}
        self._engine = _engine(spec, processes, engine)

    def __enter__(self) -> Self:
        self._engine.open(MakeSearchBench(self._spec))
        try:
            self.facts, *self.others = self._inspect()
            self._make_fewer()
        except BaseException as error:
            self._engine.__exit__(type(error), error, error.__traceback__)
            raise
        numbers = (None, *range(len(self.others)))
        self._expected = dict(zip(numbers, self.fingerprints.values(), strict=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.__exit__(kind, value, trace)

    @property
    def processes(self) -> int:
        """How many there are."""
        return self._engine.workers

    @property
    def fingerprints(self) -> dict[str, Fingerprint]:
        """Of the search's workload, then of those that it is transferred to, by the transfers' names."""
        names = (OWN, *(table.label for table in self._spec.transfer))
        found = (facts.fingerprint for facts in (self.facts, *self.others))
        return {name: one for name, one in zip(names, found, strict=True) if one is not None}

    def do(self, jobs: Sequence[SearchJob], notify: Report | None = None) -> list[Any]:
        """Do all jobs; their results in the order of the jobs.

        Raises:
            InputError: As a job raised it.
            WorkerDied: A worker ended.
        """
        return do_all(self._engine, self._resolved(jobs), notify)

    def each(self, jobs: Sequence[SearchJob]) -> Generator[tuple[int, Any]]:
        """Do all jobs; (which, its result), each as soon as it is there.

        Raises:
            InputError: As a job raised it.
            WorkerDied: A worker ended.
        """
        return each_done(self._engine, self._resolved(jobs))

    def share(self, file: Handle) -> Handle:
        """A file as jobs read it."""
        return self._engine.share(file.path)

    def share_all(self, members: Voters) -> Voters:
        """Members with their files as jobs read them."""
        return tuple(one._replace(file=self.share(one.file)) for one in members)

    def finish(self, outcome: Any) -> None:
        """Let all who help know what the search has come to."""
        if isinstance(self._engine, torchrun.TorchrunEngine):
            self._engine.outcome = outcome

    def _resolved(self, jobs: Sequence[SearchJob]) -> list[SearchJob]:
        return [replace(job, expected=self._expected) for job in jobs]

    def _inspect(self) -> list[Facts]:
        """Of the search's workload, then of those that it is transferred to."""
        return self.do([Inspect(), *(Inspect(transfer=n) for n in range(len(self._spec.transfer)))])

    def _make_fewer(self) -> None:
        """On GPUs, as many as fit, unless another number was asked for."""
        most = PROCESSES_PER_GPU * self.facts.gpus
        if isinstance(self._engine, LocalEngine) and self._processes is None and 0 < most < self.processes:
            self._engine.close()
            self._engine = LocalEngine(most).open(MakeSearchBench(self._spec))


def _engine(spec: SubsetSearch, processes: int | None, name: str) -> Engine:
    if torchrun.active():
        _check_processes(processes)
        return torchrun.TorchrunEngine(_device(spec), together=False)
    return make_engine("inline" if name == "local" and (processes or cores()) == 1 else name, processes)


def _check_processes(processes: int | None) -> None:
    if processes is not None:
        fix = "Leave it out: torchrun's --nproc-per-node says how many there are."
        raise InputError("has no effect under torchrun", where="processes", got=processes, fix=fix)


def _device(spec: SubsetSearch) -> str:
    return spec.training.device if spec.training else "auto"
