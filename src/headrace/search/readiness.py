"""What can be wrong with a search once its workload is known; checked before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headrace.ensembles.registry import ACQUISITIONS
from headrace.errors import HeadraceError, InputError, InputErrors
from headrace.search.plan import checkpoint_steps, counts, process_bytes, run_steps
from headrace.selection.registry import STRATEGIES
from headrace.specs.methods import shortlisted
from headrace.specs.search import SubsetSearch
from headrace.specs.search_tables import TrainingTable
from headrace.store.experiments import EXPERIMENT
from headrace.store.search_facts import Facts
from headrace.store.searches import read_asked

SECONDS_PER_TERM = 1e-8
"""BatchBALD's time for one example, chosen example, class and configuration, roughly, on one core."""
LONGEST_HOURS = 24
"""A BatchBALD choice that would take longer is refused."""


def check_ready(spec: SubsetSearch, facts: Facts) -> None:
    """Check that the file and the workload go together.

    Raises:
        InputErrors: All that does not.
    """
    sizes = counts(spec, facts.examples)
    errors: list[InputError] = []
    if sizes[0] < 1 or len(set(sizes)) < len(sizes):
        errors.append(
            InputError(
                f"the sizes must be different numbers of the {facts.examples} examples, and not 0",
                where="search.sizes",
                got=list(sizes),
            )
        )
    else:
        errors += _joint_errors(spec, facts)
        errors += _stratified_errors(spec, facts)
        errors += _multilabel_errors(spec) if facts.multilabel else ()
        errors += [] if spec.training is None else _training_errors(spec.training, sizes[0])
    if errors:
        raise InputErrors(errors, where=f"the search on {spec.workload.name}")


def check_transfer(spec: SubsetSearch, number: int, facts: Facts, other: Facts) -> None:
    """Check that a transfer trains on the data that are searched, and can.

    Args:
        spec: The search.
        number: Which transfer.
        facts: Of the search's workload.
        other: Of the transfer's.

    Raises:
        InputErrors: All that does not fit.
    """
    errors: list[InputError] = []
    if other.checksum != facts.checksum:
        errors.append(
            InputError(
                "its training set is another one, so the subsets mean nothing there",
                where=f"transfer[{number}].workload",
                got=spec.transfer[number].workload.name,
                fix="Give a workload with the same examples, in the same order and with the same transforms.",
            )
        )
    training = spec.transferred(number).training
    assert training is not None
    errors += _training_errors(training, counts(spec, facts.examples)[0])
    if errors:
        raise InputErrors(errors, where=f"transfer to {spec.transfer[number].label}")


def _training_errors(training: TrainingTable, smallest: int) -> list[InputError]:
    if training.batch_size > smallest:
        what = f"a batch cannot be larger than the smallest subset of {smallest} examples"
        return [InputError(what, where="training.batch_size", got=training.batch_size)]
    try:
        taken = checkpoint_steps(training, run_steps(training, smallest))
    except InputError as error:
        return [error]
    if len(set(taken)) < len(taken):
        return [
            InputError(
                "two checkpoints of a run would be at the same step",
                where="training.checkpoints",
                got=list(taken),
                fix="Take fewer, or give a larger budget.",
            )
        ]
    return []


def check_folder(spec: SubsetSearch, directory: Path) -> None:
    """Check that no other results would be written over: an experiment's, or a search's on other data.

    Args:
        spec: The search.
        directory: Its folder.

    Raises:
        InputError: They would.
    """
    fix = "Give another folder with --out."
    if (directory / EXPERIMENT).is_file():
        raise InputError("this is the folder of an experiment", where=str(directory), fix=fix)
    try:
        before = read_asked(directory).workload
    except HeadraceError:
        # There is none, or one that no command could resume.
        return
    if not before.same_data(spec.workload):
        raise InputError(
            "this folder holds a search on another workload",
            where=str(directory),
            got=before.described,
            fix=fix,
        )


def check_memory(spec: SubsetSearch, facts: Facts, processes: int, there: int) -> None:
    """Check that what all processes hold at most fits into memory.

    Args:
        spec: The search.
        facts: Of its workload.
        processes: How many there are.
        there: The machine's memory in bytes.

    Raises:
        InputError: It does not.
    """
    needed = process_bytes(spec, facts)
    if needed * processes > there:
        fewer = there // needed
        raise InputError(
            f"scoring and choosing would take up to {needed / 1e9:.2f} GB in each of {processes} processes, "
            f"and there are {there / 1e9:.2f} GB",
            where=f"the search on {spec.workload.name}",
            fix=f"Run with --processes {fewer}." if fewer else "Use methods without features.",
        )


def _multilabel_errors(spec: SubsetSearch) -> Iterator[InputError]:
    """Methods that need one class an example."""
    several = sorted(name for name, entry in ACQUISITIONS.items() if entry.multilabel)
    single = sorted(name for name, strategy in STRATEGIES.items() if strategy.one_class)
    words = f"{' or '.join(several)}, and a strategy other than {', '.join(single)}"
    for method in spec.methods:
        score = method.score
        if (score is not None and score not in several) or method.select.name in single:
            yield InputError(
                "needs one class an example, and the targets say yes or no to each class",
                where=method.label,
                fix=f"Use {words}.",
            )
    if spec.search.oracle == "people":
        yield InputError("people give one class an example", where="search.oracle", got="people")


def _stratified_errors(spec: SubsetSearch, facts: Facts) -> Iterator[InputError]:
    """Sizes that cannot be reached without what `stratified` drops: the first of each method."""
    sizes = counts(spec, facts.examples)
    for method in (m for m in spec.methods if "drop_hardest" in m.select.settings):
        dropped = float(method.select.settings["drop_hardest"])
        for place in range(spec.first_acquired, len(sizes)):
            before = sizes[place - 1] if place else 0
            there = facts.examples - (before if spec.search.choose_from == "remainder" else 0)
            kept, wanted = there - int(dropped * there), sizes[place] - before
            if wanted > kept:
                yield InputError(
                    f"{wanted} examples must be added for the size {spec.search.sizes[place]:g}, "
                    f"and {kept} are left after dropping the hardest",
                    where=f"{method.label}: drop_hardest",
                    got=dropped,
                    fix="Lower it, or the size.",
                )
                break


def _joint_errors(spec: SubsetSearch, facts: Facts) -> Iterator[InputError]:
    """Batches that BatchBALD would not choose within a day."""
    sizes = counts(spec, facts.examples)
    grown = range(spec.first_acquired, len(sizes))
    for method in (m for m in spec.methods if m.select.name == "batch_bald"):
        number = max(sizes[place] - (sizes[place - 1] if place else 0) for place in grown)
        most = shortlisted(method.select, number, facts.examples)
        terms = number * most * facts.num_classes * int(method.select.settings["configurations"])
        hours = terms * SECONDS_PER_TERM / 3600
        if hours > LONGEST_HOURS:
            yield InputError(
                f"choosing {number:,} of {most:,} examples would take about {hours:,.0f} hours, "
                f"more than {LONGEST_HOURS}",
                where="batch_bald",
                fix="Give smaller steps of sizes, a smaller shortlist or fewer configurations.",
            )
