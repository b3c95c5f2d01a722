"""What is wrong with the tables of a subset search that are each right by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from headrace.ensembles.registry import ACQUISITIONS
from headrace.errors import InputError, did_you_mean
from headrace.specs.settings import settings_errors
from headrace.training import recipe
from headrace.workloads.registry import check_spec

if TYPE_CHECKING:
    from headrace.specs.methods import Method
    from headrace.specs.search_tables import SearchTables, TrainingTable

BASELINES = ("random", "full", "rs2")
_OUT = "Leave it out."


def cross_checks(spec: SearchTables) -> list[InputError]:
    """Every error; nothing that has no effect is accepted."""
    return [
        *_workload_errors(spec),
        *_size_errors(spec),
        *_method_errors(spec),
        *_label_errors(spec),
        *_member_errors(spec),
        *_baseline_errors(spec),
        *(_training_errors(spec.training, "training") if spec.training else ()),
        *_transfer_errors(spec),
    ]


def _workload_errors(spec: SearchTables) -> Iterator[InputError]:
    tables = {"workload": spec.workload}
    tables |= {f"transfer[{number}].workload": table.workload for number, table in enumerate(spec.transfer)}
    for where, table in tables.items():
        try:
            check_spec(table.name)
        except InputError as error:
            yield InputError(error.what, where=f"{where}.name", got=table.name, fix=error.fix)
        yield from settings_errors(table.settings, f"{where}.settings")


def _size_errors(spec: SearchTables) -> Iterator[InputError]:
    sizes = spec.search.sizes
    if any(a >= b for a, b in pairwise(sizes)):
        yield InputError(
            "the sizes must rise",
            where="search.sizes",
            got=list(sizes),
            fix="For example [0.125, 0.25, 0.5].",
        )
    if len(sizes) <= spec.first_acquired:
        yield InputError(
            "nothing would be searched: the first size is drawn at random",
            where="search.sizes",
            got=list(sizes),
            fix="Add the size that is wanted, for example twice the first.",
        )


def _method_errors(spec: SearchTables) -> Iterator[InputError]:
    search = spec.search
    if search.methods is not None:
        for key in ("acquisition", "select"):
            if getattr(search, key) is not None:
                yield InputError("has no effect if methods are given", where=f"search.{key}", fix=_OUT)
    elif search.acquisition is not None and not search.ways[0].select.takes_scores:
        name = search.ways[0].select.name
        yield InputError(f"has no effect with {name}", where="search.acquisition", fix=_OUT)
    names = [method.label for method in spec.methods]
    if len(set(names)) < len(names):
        where = "search.acquisition" if search.methods is None else "search.methods"
        fix = "Give each another name." if search.methods else None
        yield InputError("the values must differ from each other", where=where, got=names, fix=fix)
    for number, method in enumerate(spec.methods):
        root = "search." if search.methods is None else f"search.methods[{number}]."
        if method.label in BASELINES:
            yield InputError("this is the name of a baseline", where=f"{root}name", got=method.label)
        yield from _acquisition_errors(spec, method, f"{root}acquisition")
        if number == 0 or search.methods is not None:
            yield from _select_errors(spec, method, f"{root}select")


def _acquisition_errors(spec: SearchTables, method: Method, where: str) -> Iterator[InputError]:
    name = method.acquisition
    if name is None:
        if method.select.takes_scores:
            yield InputError("is missing", where=where, fix=f"Use one of: {', '.join(ACQUISITIONS)}.")
    elif not method.select.takes_scores:
        yield InputError(f"has no effect with {method.select.name}", where=where, got=name, fix=_OUT)
    elif name not in ACQUISITIONS:
        yield InputError(
            "unknown acquisition function",
            where=where,
            got=name,
            fix=did_you_mean(name, ACQUISITIONS),
        )
    elif ACQUISITIONS[name].needs_labels and spec.search.labels == "hidden":
        yield InputError(
            f"{name} needs the labels, but they are hidden",
            where=where,
            got=name,
            fix="Use variation_ratio, or labels = 'known'.",
        )
    elif ACQUISITIONS[name].needs_several and _members(spec) == 1:
        yield InputError(
            f"{name} is the same for every example if there is only one member",
            where=where,
            got=name,
            fix="Take more runs or checkpoints, or use entropy.",
        )


def _members(spec: SearchTables) -> int | None:
    if spec.members or spec.training is None:
        return None
    return spec.training.runs * len(spec.training.checkpoint_shares)


def _select_errors(spec: SearchTables, method: Method, where: str) -> Iterator[InputError]:
    select = method.select
    for key in select.model_dump(exclude_none=True, exclude={"name"}):
        if key not in select.settings:
            yield InputError(f"has no effect with name = {select.name!r}", where=f"{where}.{key}", fix=_OUT)
    if select.strategy.apart and spec.search.choose_from == "pool":
        yield InputError(
            f"{select.name} chooses nothing twice, so choose_from = 'pool' has no effect",
            where=where,
            got=select.name,
            fix="Use choose_from = 'remainder'.",
        )
    if select.takes_members and _members(spec) == 1:
        yield InputError(
            f"{select.name} needs several members", where=where, fix="Take more runs or checkpoints."
        )


def _label_errors(spec: SearchTables) -> Iterator[InputError]:
    search = spec.search
    if search.labels == "hidden" and search.oracle is None:
        yield InputError(
            "must be given if labels are hidden",
            where="search.oracle",
            fix="Use 'dataset' for a simulation, or 'people'.",
        )
    if search.labels == "known" and search.oracle is not None:
        yield InputError(
            "has no effect if labels are known",
            where="search.oracle",
            got=search.oracle,
            fix="Leave it out.",
        )
    if search.show is not None and search.oracle != "people":
        yield InputError("has an effect only with oracle = 'people'", where="search.show", got=search.show)
    if search.oracle == "people":
        if len(spec.methods) > 1:
            yield InputError(
                "people can be asked for only one acquisition function at a time",
                where="search.acquisition" if search.methods is None else "search.methods",
                got=list(spec.groups),
            )
        if spec.comparison:
            yield InputError(
                "nothing can be compared, because the other labels are hidden",
                where="comparison",
                fix="Leave the table out, or simulate with oracle = 'dataset'.",
            )


def _member_errors(spec: SearchTables) -> Iterator[InputError]:
    if spec.members is None:
        if spec.training is None:
            yield InputError("is missing", where="training", fix="Add it, or [members] with checkpoints.")
        return
    if (spec.members.checkpoints is None) == (spec.members.experiment is None):
        yield InputError("give either checkpoints or experiment", where="members")
    if spec.members.best is not None and spec.members.experiment is None:
        yield InputError("has no effect without experiment", where="members.best", fix=_OUT)
    if spec.training is not None and spec.comparison is None:
        yield InputError(
            "has no effect: the members are given and nothing is compared",
            where="training",
            fix="Leave it out.",
        )
    if spec.training is None and spec.comparison is not None:
        yield InputError("is missing: the comparison trains on the subsets", where="training", fix="Add it.")
    if spec.search.start == "warm":
        yield InputError("has no effect if members are given", where="search.start", got="warm")
    if spec.search.choose_from == "pool":
        # The scores never change, so the same examples would be chosen again in every round.
        yield InputError("has no effect if members are given", where="search.choose_from", got="pool")


def _baseline_errors(spec: SearchTables) -> Iterator[InputError]:
    for name in spec.baselines:
        if name not in BASELINES:
            yield InputError(
                "unknown baseline",
                where="comparison.baselines",
                got=name,
                fix=did_you_mean(name, BASELINES),
            )
    if spec.comparison and "random" not in spec.baselines:
        yield InputError(
            "random must be among the baselines: it is what a search has to beat",
            where="comparison.baselines",
            got=list(spec.baselines),
        )


def _transfer_errors(spec: SearchTables) -> Iterator[InputError]:
    if spec.transfer and (spec.comparison is None or spec.training is None):
        yield InputError("has no effect without [comparison] and [training]", where="transfer", fix=_OUT)
        return
    labels = [table.label for table in spec.transfer]
    if len(set(labels)) < len(labels):
        yield InputError("the names must differ", where="transfer", got=labels, fix="Give each a name.")
    for number, table in enumerate(spec.transfer):
        if table.workload.goal is not None:
            yield InputError("has no effect here", where=f"transfer[{number}].workload.goal", fix=_OUT)
        if spec.training is not None:
            yield from _training_errors(table.training(spec.training), f"transfer[{number}]")


def _training_errors(training: TrainingTable, root: str) -> Iterator[InputError]:
    if training.optimizer not in recipe.OPTIMIZERS:
        yield InputError(
            "unknown optimizer",
            where=f"{root}.optimizer",
            got=training.optimizer,
            fix=did_you_mean(training.optimizer, recipe.HYPERPARAMETERS),
        )
        return
    used = recipe.hyperparameters(training.optimizer, training.schedule)
    for name, value in training.hyperparameters.items():
        where = f"{root}.hyperparameters.{name}"
        if name not in used:
            yield InputError(
                f"has no effect with {training.optimizer} and schedule {training.schedule!r}",
                where=where,
                fix=did_you_mean(name, sorted(used)),
            )
        elif value not in recipe.RANGES[name]:
            yield InputError(f"must be {recipe.RANGES[name]}", where=where, got=value)
    if "learning_rate" not in training.hyperparameters:
        yield InputError("is missing", where=f"{root}.hyperparameters.learning_rate", fix="Give its value.")
    shares = training.checkpoint_shares
    if any(a >= b for a, b in pairwise(shares)):
        yield InputError("must rise", where=f"{root}.checkpoints", got=list(shares))
