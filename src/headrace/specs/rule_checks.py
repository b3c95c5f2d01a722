"""What can be wrong with `[report] rules`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from headrace.errors import InputError, did_you_mean
from headrace.specs.rules import RULES, moves, parts_of
from headrace.specs.space import Range
from headrace.training import recipe

if TYPE_CHECKING:
    from headrace.specs.tables import Tables


def rule_errors(experiment: Tables) -> Iterator[InputError]:
    """Rules that do not exist, that carry nothing that is searched, or start where nothing is."""
    asked, grid = experiment.report, experiment.grid
    for rule in asked.rules:
        yield from _one(rule, experiment)
    twice = next((rule for rule in asked.rules if asked.rules.count(rule) > 1), None)
    if twice is not None:
        yield InputError("the same rule is given twice", where=_WHERE, got=twice)
    if asked.rules_from is None:
        return
    if not asked.rules:
        yield InputError("has no effect without rules", where="report.rules_from", got=asked.rules_from)
    elif asked.rules_from not in grid.batch_size:
        fix = f"Choose one of {', '.join(map(str, grid.batch_size))}."
        yield InputError(
            "is not a batch size of the grid", where="report.rules_from", got=asked.rules_from, fix=fix
        )


_WHERE = "report.rules"


def _one(rule: str, experiment: Tables) -> Iterator[InputError]:
    parts = parts_of(rule)
    unknown = next((part for part in parts if part not in RULES), None)
    if unknown is not None:
        fix = did_you_mean(unknown, RULES) or f"There are {', '.join(RULES)}; several are joined by +."
        yield InputError("unknown rule", where=_WHERE, got=unknown, fix=fix)
        return
    names = [name for part in parts for name in RULES[part]]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        yield InputError(f"two parts of the rule carry {twice}", where=_WHERE, got=rule, fix="Leave one out.")
        return
    used = {
        name
        for optimizer in experiment.grid.optimizer
        if optimizer in recipe.OPTIMIZERS
        for name in recipe.hyperparameters(optimizer, experiment.training.schedule)
    }
    space = experiment.search.space
    if names and not any(isinstance(space.get(name), Range) and name in used for name in moves(rule)):
        yield InputError(
            f"has no effect: it carries {' and '.join(sorted(set(names)))}, which no trial searches",
            where=_WHERE,
            got=rule,
            fix="Give it a range in [search.space], or leave the rule out.",
        )
