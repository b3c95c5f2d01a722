"""Extending an experiment in its folder: what is kept and what is added, shown before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from headrace.errors import InputError
from headrace.specs.experiment import Experiment
from headrace.specs.extending import Extension, differences, extend
from headrace.store.experiments import StoredExperiment

_NEW = "Choose another folder, or undo the change"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What extending a folder keeps and adds.

    Attributes:
        stored: What the folder holds.
        extension: What is new.
    """

    stored: StoredExperiment
    extension: Extension

    def lines(self) -> Iterator[str]:
        """The plan in sentences."""
        old, new = self.extension.before, self.extension.after
        kept = self.kept
        seconds = sum(record.seconds for record in self.stored.records)
        yield (
            f"keeps {kept} of {len(self.stored.records)} stored trials of {_studies(len(old.studies()))} "
            f"({seconds:.0f} s of training)"
        )
        if self.extension.added:
            names = [study.name for study in self.extension.added]
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            yield f"adds {_studies(len(names))}: {'; '.join(names[:3])}{more}"
        if new.search.trials != old.search.trials:
            yield f"asks for {new.search.trials} trials per study instead of {old.search.trials}"
        if new.search.limit != old.search.limit:
            yield f"tries up to {new.search.limit} trials per study instead of {old.search.limit}"
        if self.extension.widened:
            least, most = min(self.extension.widened.values()), max(self.extension.widened.values())
            of = f"{least:.0%}" if most - least < 0.005 else f"{least:.0%} to {most:.0%}"
            yield (
                f"widens the space of {_studies(len(self.extension.widened))}: the trials of before cover "
                f"{of} of it, and count in that proportion; the others stay stored and do not count"
            )

    @property
    def kept(self) -> int:
        """How many stored trials are among those that count first, or in a narrower space did."""
        new = self.extension.after
        first = {
            study.name: set(new.order(study)[: new.search.trials])
            for study in self.extension.before.studies()
        }
        return sum(
            record.study not in self.extension.widened or record.trial in first[record.study]
            for record in self.stored.records
        )


def _studies(count: int) -> str:
    return f"{count:,} {'study' if count == 1 else 'studies'}"


Agree = Callable[[Plan], bool]
"""Shown the plan, says whether to extend the folder by it."""


def extended(stored: StoredExperiment, experiment: Experiment, *, agree: Agree | None) -> Experiment:
    """The experiment by which a folder is extended.

    Args:
        stored: What the folder holds.
        experiment: What is asked, which is another one.
        agree: Shows the plan and says whether it is carried out; None does not.

    Raises:
        InputError: It cannot be extended to this experiment, or must not be.
    """
    where, differ = str(stored.directory), differences(stored.experiment, experiment)
    found = extend(stored.experiment, experiment)
    if not isinstance(found, Extension):
        raise InputError(
            f"holds another experiment; they differ in {differ}. It cannot be extended: {'; '.join(found)}",
            where=where,
            fix=f"{_NEW}.",
        )
    if stored.share is not None:
        raise InputError(
            f"holds a part of another experiment; they differ in {differ}. A part cannot be extended, "
            "because the studies are dealt out to parts anew",
            where=where,
            fix="Merge the parts and extend the merged folder, or choose another folder.",
        )
    plan = Plan(stored=stored, extension=found)
    if agree is None or not agree(plan):
        raise InputError(
            f"holds another experiment; they differ in {differ}. Extending it {', '.join(plan.lines())}",
            where=where,
            fix=f"Extend it with --extend. Otherwise: {_NEW[0].lower()}{_NEW[1:]}.",
        )
    return found.after
