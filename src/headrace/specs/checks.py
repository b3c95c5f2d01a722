"""What can be wrong with an experiment before anything runs, each with where, what was got, and the fix."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from headrace.errors import InputError, did_you_mean
from headrace.specs.checkpoints import shares
from headrace.specs.grid import part_errors
from headrace.specs.limits import MOST_STUDIES
from headrace.specs.packing import packing_errors
from headrace.specs.policy_checks import policy_errors
from headrace.specs.rule_checks import rule_errors
from headrace.specs.settings import settings_errors
from headrace.specs.space import INTEGERS, Choices, Entry, Range
from headrace.specs.studies import LONGEST_NAME, folder_name
from headrace.specs.subset_names import check_subset, is_built_in, is_file, is_search
from headrace.specs.widening import why_not_wider
from headrace.training import recipe

if TYPE_CHECKING:
    from headrace.specs.tables import Tables


def cross_checks(experiment: Tables) -> list[InputError]:
    """What is wrong with tables that are each right by themselves; nothing that has no effect is accepted."""
    errors = [
        *settings_errors(experiment.workload.settings, "workload.settings"),
        *_grid_errors(experiment),
        *_worker_errors(experiment),
        *_subset_errors(experiment),
        *policy_errors(experiment),
        *_space_errors(experiment),
        *_before_errors(experiment),
        *_training_errors(experiment),
        *rule_errors(experiment),
    ]
    # What is packed depends on the names of optimizers and policies, which must be known.
    return errors or [*packing_errors(experiment)]


def _before_errors(experiment: Tables) -> Iterator[InputError]:
    """Earlier spaces that are not within the later ones."""
    spaces = [earlier.space for earlier in experiment.search.before] + [experiment.search.space]
    for place, (narrow, wide) in enumerate(pairwise(spaces)):
        for name in sorted(narrow.keys() & wide.keys()):
            why = None if narrow[name] == wide[name] else why_not_wider(narrow[name], wide[name])
            if why is not None:
                where = f"search.before.{place}.space.{name}"
                yield InputError(f"must be within the space that follows: {why}", where=where)


def _grid_errors(experiment: Tables) -> Iterator[InputError]:
    grid = experiment.grid
    for optimizer in grid.optimizer:
        if optimizer not in recipe.OPTIMIZERS:
            yield InputError(
                "unknown optimizer",
                where="grid.optimizer",
                got=optimizer,
                fix=did_you_mean(optimizer, recipe.HYPERPARAMETERS),
            )
    if not _countable(experiment):
        yield InputError(
            f"must have at most {MOST_STUDIES:,} combinations, because each is a study of its own",
            where="grid",
            got=_combinations(experiment),
            fix="Use shorter lists, or several experiments.",
        )
        return
    yield from part_errors(grid)
    longest = max((folder_name(study.name) for study in grid.combinations()), key=len)
    if len(longest) > LONGEST_NAME:
        yield InputError(
            f"a study's folder would have a name of {len(longest)} bytes, not at most {LONGEST_NAME}",
            where="grid",
            got=longest,
            fix='Give subset files short names: subset = ["mine"], and [subsets] mine = "path.parquet".',
        )


def _combinations(experiment: Tables) -> int:
    grid = experiment.grid
    return math.prod(map(len, (grid.optimizer, grid.subset, grid.policy, grid.workers, grid.batch_size)))


def _countable(experiment: Tables) -> bool:
    """Whether the combinations are few enough to look at each."""
    return _combinations(experiment) <= MOST_STUDIES


def _worker_errors(experiment: Tables) -> Iterator[InputError]:
    small: dict[int, set[int]] = {}
    for study in experiment.studies() if _countable(experiment) else ():
        size, workers = study.configuration.batch_size, study.configuration.workers
        if size < workers:
            small.setdefault(workers, set()).add(size)
    for workers, sizes in small.items():
        yield InputError(
            f"more workers than examples in a batch of {', '.join(map(str, sorted(sizes)))}",
            where="grid.workers",
            got=workers,
            fix="batch_size is that of all workers together: use larger batches, or fewer workers.",
        )


def _subset_errors(experiment: Tables) -> Iterator[InputError]:
    grid, files = experiment.grid.subset, experiment.subsets
    for name in grid:
        if name not in files:
            try:
                check_subset(name)
            except InputError as error:
                yield error
    for name, path in files.items():
        where = f"subsets.{name}"
        if name not in grid:
            fix = did_you_mean(name, grid)
            yield InputError("has no effect: the subset is not in the grid", where=where, got=name, fix=fix)
        if is_built_in(name):
            yield InputError("this name is taken", where=where, got=name, fix="Choose another.")
        if not (is_file(path) or is_search(path)):
            what = "must be the path of a subset file (.parquet), or { search = FILE } with a search (.toml)"
            yield InputError(what, where=where, got=path)


def _space_errors(experiment: Tables) -> Iterator[InputError]:
    space, schedule = experiment.search.space, experiment.training.schedule
    optimizers = [name for name in experiment.grid.optimizer if name in recipe.OPTIMIZERS]
    used = frozenset[str]().union(*(recipe.hyperparameters(name, schedule) for name in optimizers))
    for name, entry in space.items():
        where = f"search.space.{name}"
        if name not in recipe.RANGES:
            yield InputError("unknown hyperparameter", where=where, fix=did_you_mean(name, recipe.RANGES))
            continue
        if optimizers and name not in used:
            yield InputError(
                f"has no effect with schedule {schedule!r} and optimizers {', '.join(optimizers)}",
                where=where,
                fix="Leave it out, or choose an optimizer or a schedule that uses it.",
            )
        yield from _domain_errors(where, name, entry)
    if "learning_rate" not in space:
        yield InputError("is missing", where="search.space.learning_rate", fix="Give its range or its value.")


def _domain_errors(where: str, name: str, entry: Entry) -> Iterator[InputError]:
    ends = {"low": entry.low, "high": entry.high} if isinstance(entry, Range) else {}
    values = entry.choices if isinstance(entry, Choices) else () if isinstance(entry, Range) else (entry,)
    for key, value in [
        *((f"{where}.{end}", value) for end, value in ends.items()),
        *((where, v) for v in values),
    ]:
        number = int(value) if name in INTEGERS and int(value) == value else value
        if number not in recipe.RANGES[name]:
            yield InputError(f"{name} must be {recipe.RANGES[name]}", where=key, got=value)


def _training_errors(experiment: Tables) -> Iterator[InputError]:
    search, training = experiment.search, experiment.training
    if training.checkpoints is not None and any(a >= b for a, b in pairwise(shares(training.checkpoints))):
        yield InputError("must rise", where="training.checkpoints", got=list(shares(training.checkpoints)))
    if search.limit < search.trials:
        what = f"must be at least trials = {search.trials}"
        yield InputError(what, where="search.max_trials", got=search.limit)
    if training.microbatch is not None and training.microbatch >= max(experiment.grid.batch_size):
        yield InputError(
            f"has no effect: no batch size is larger than {training.microbatch}",
            where="training.microbatch",
            got=training.microbatch,
            fix="Leave it out.",
        )
    if training.budget.steps is not None:
        try:
            experiment.evaluation_steps(training.budget.steps)
        except InputError as error:
            yield error.within("training")
