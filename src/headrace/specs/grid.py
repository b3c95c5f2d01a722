"""`[grid]`: the axes of an experiment, and which of their combinations are studies."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, field_validator

from headrace.errors import InputError
from headrace.policies import ACTIVE_BIAS
from headrace.specs.document import Table
from headrace.specs.limits import FEW, Count, Name, Workers
from headrace.specs.studies import FULL, Configuration, StudyKey
from headrace.specs.subset_names import canonical


def _listed(value: object) -> object:
    """A single value stands for a list of it."""
    return value if isinstance(value, list | tuple) or value is None else [value]


BatchSizes = Annotated[tuple[Count, ...], Field(strict=False, min_length=1), FEW]
Numbers = Annotated[tuple[Workers, ...], Field(strict=False, min_length=1), FEW]
Names = Annotated[tuple[Name, ...], Field(strict=False, min_length=1), FEW]
SomeSizes = Annotated[BatchSizes | None, BeforeValidator(_listed)]
SomeNumbers = Annotated[Numbers | None, BeforeValidator(_listed)]
SomeNames = Annotated[Names | None, BeforeValidator(_listed)]


class Axes(Table):
    """What the grid and its parts have in common: names of policies and subsets in one spelling."""

    @field_validator("policy", check_fields=False)
    @classmethod
    def _by_our_names(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return names and tuple(ACTIVE_BIAS.get(name, name) for name in names)

    @field_validator("subset", check_fields=False)
    @classmethod
    def _canonical(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return names and tuple(map(canonical, names))

    @field_validator("*")
    @classmethod
    def _distinct(cls, values: tuple[object, ...] | None) -> tuple[object, ...] | None:
        if isinstance(values, tuple) and any(values.count(value) > 1 for value in values):
            raise ValueError("the values must differ from each other")
        return values


class Part(Axes):
    """A part of the grid: the studies with these values; an axis without values is whole."""

    later: ClassVar[frozenset[str]] = frozenset({"batch_size", "optimizer", "policy", "subset", "workers"})
    batch_size: SomeSizes = None
    optimizer: SomeNames = None
    policy: SomeNames = None
    subset: SomeNames = None
    workers: SomeNumbers = None

    def holds(self, study: StudyKey) -> bool:
        """Whether a study is in it."""
        there = values_of(study)
        asked = {name: getattr(self, name) for name in self.later}
        return all(there[name] in values for name, values in asked.items() if values is not None)


Parts = Annotated[tuple[Part, ...], Field(strict=False), FEW]


class Grid(Axes):
    """`[grid]`: the dataset configurations and optimizers; every combination is one study.

    A policy may be given by its name in the paper (`SD`); it is stored by ours (`sample-difficulty`).
    A subset is "full", "random:SHARE", the path of a subset file, or a name of `[subsets]`.

    Attributes:
        exclude: Parts that are left out.
        include: Parts of what is left out that are studies nevertheless.
        repeat_equal: Whether studies that are the same function are trained each, and not once for all.
    """

    later: ClassVar[frozenset[str]] = frozenset({"exclude", "include", "repeat_equal"})
    batch_size: BatchSizes
    optimizer: Names = ("sgd",)
    policy: Names = ("shuffle",)
    subset: Names = (FULL,)
    workers: Numbers = (1,)
    exclude: Parts = ()
    include: Parts = ()
    repeat_equal: bool = False

    def combinations(self) -> list[StudyKey]:
        """Every combination: optimizers outermost, batch sizes innermost and ascending."""
        axes = (self.optimizer, self.subset, self.policy, self.workers, sorted(self.batch_size))
        return [
            StudyKey(
                optimizer=optimizer,
                configuration=Configuration(subset=subset, policy=policy, batch_size=size, workers=workers),
            )
            for optimizer, subset, policy, workers, size in product(*axes)
        ]

    def studies(self) -> list[StudyKey]:
        """Every combination that is a study."""
        return [study for study in self.combinations() if self._has(study)]

    def _has(self, study: StudyKey) -> bool:
        out = any(part.holds(study) for part in self.exclude)
        return not out or any(part.holds(study) for part in self.include)


def values_of(study: StudyKey) -> dict[str, Any]:
    """A study's value on each axis."""
    return {"optimizer": study.optimizer, **study.configuration.model_dump()}


def part_errors(grid: Grid) -> Iterator[InputError]:
    """Parts that change nothing, and grids in which something cannot be seen any more."""
    whole, studies = grid.combinations(), grid.studies()
    excluded = [study for study in whole if any(part.holds(study) for part in grid.exclude)]
    before = len(excluded)
    yield from _without_effect(grid.exclude, whole, "exclude", "matches no study of the grid")
    yield from _without_effect(
        grid.include, excluded, "include", "brings back no study that exclude leaves out"
    )
    if not studies and before:
        yield InputError("leaves no study", where="grid.exclude", fix="Exclude less.")
        return
    for name in sorted(Part.later):
        there = {values_of(study)[name] for study in studies}
        for value in getattr(grid, name):
            if value not in there:
                what = f"leaves no study with {name} {value!r}"
                yield InputError(what, where="grid.exclude", fix=f"Leave it out of grid.{name}.")
    yield from _alone(grid, studies)


def _without_effect(
    parts: tuple[Part, ...], studies: list[StudyKey], key: str, what: str
) -> Iterator[InputError]:
    for place, part in enumerate(parts):
        if not any(part.holds(study) for study in studies):
            said = {name: list(getattr(part, name)) for name in sorted(part.later) if getattr(part, name)}
            yield InputError(
                what,
                where=f"grid.{key}[{place}]",
                got=said,
                fix="Check the values against those of the grid, or leave it out.",
            )


def _alone(grid: Grid, studies: list[StudyKey]) -> Iterator[InputError]:
    """Curves of one batch size in a grid of several: how far batch size pays cannot be seen there."""
    if len(grid.batch_size) == 1 or not grid.exclude:
        return
    curves: dict[tuple[Any, ...], list[int]] = {}
    for study in studies:
        values = values_of(study)
        size = values.pop("batch_size")
        curves.setdefault(tuple(values.values()), []).append(size)
    for names, sizes in curves.items():
        if len(sizes) == 1:
            curve = ", ".join(map(str, names))
            yield InputError(
                f"leaves only the batch size {sizes[0]} to the curve {curve}",
                where="grid.exclude",
                fix="Leave at least two batch sizes to each curve, or exclude all of it.",
            )
