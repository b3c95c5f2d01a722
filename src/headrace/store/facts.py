"""Facts about a workload, found when it was loaded: the store keeps them, so analysis need not load it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from headrace.records import GrownRecord, Record
from headrace.workloads.fingerprint import Fingerprint


class PartFacts(Record):
    """Facts about a subset of the grid.

    Attributes:
        examples: How many there are in it.
        sha256: Of its file, or None if it is drawn at random.
    """

    examples: int = Field(ge=1)
    sha256: str | None = None


class Change(Record):
    """A change of the workload between two trials of a folder.

    Attributes:
        why: Why it is accepted, in the user's words; empty if nobody was asked because the trials before it
            are from a version that kept no fingerprints.
        what: What changed, one text for each part; empty if that cannot be found out.
        before: The digest of the fingerprint before; None if none was kept.
        after: The digest of the one after.
    """

    why: str = ""
    what: tuple[str, ...] = ()
    before: str | None = None
    after: str


class WorkloadFacts(GrownRecord):
    """The facts of a workload that results depend on, or that a report shows.

    Attributes:
        name: As in the experiment file.
        goal: The validation metric to get strictly below.
        metric_name: The metric; its columns are `validation/<metric_name>` and `test/<metric_name>`.
        train_examples: The size of the training set.
        validation_examples: The size of the validation set.
        test_examples: The size of the test set, or None without one.
        tokens_per_example: How many tokens a training example has on average, if tokens are the unit.
        parameters: The number of trained parameters of the model.
        description: The workload's own words.
        classes: The names of the classes, or None.
        subsets: The subsets of the grid besides the full one, by name.
        random_items: Whether the training examples differ from fetch to fetch, in evaluation too.
        workers_alike: Whether any number of workers trains the same function: a pass over a batch is the
            passes over its parts, and nothing is drawn. None in folders of older versions, which train each.
        experiment: The digest of the experiment that they belong to; None in folders of older versions.
        fingerprint: What the workload is, for a comparison; None in folders of older versions.
        changes: Of the workload, between trials, in their order.
        packs: Study -> how many of its trials are trained as one, of those whose trials are packed.
    """

    later: ClassVar[frozenset[str]] = frozenset({"packs"})
    name: str
    goal: float
    metric_name: str = "error"
    train_examples: int = Field(ge=1)
    validation_examples: int = Field(ge=1)
    test_examples: int | None = Field(default=None, ge=1)
    tokens_per_example: float | None = Field(default=None, gt=0)
    parameters: int = Field(default=0, ge=0)
    description: str = ""
    classes: tuple[str, ...] | None = None
    subsets: dict[str, PartFacts] = Field(default_factory=dict)
    random_items: bool = False
    workers_alike: bool | None = None
    experiment: str | None = None
    fingerprint: Fingerprint | None = None
    changes: tuple[Change, ...] = ()
    packs: dict[str, int] = Field(default_factory=dict)

    @property
    def digest(self) -> str | None:
        """The fingerprint's digest in a trial's record; None without a fingerprint."""
        return None if self.fingerprint is None else self.fingerprint.digest

    @property
    def known(self) -> frozenset[str | None]:
        """The digests that trials of the folder may carry; None among them if some have none."""
        return frozenset({self.digest, *(change.before for change in self.changes)})

    def examples_in(self, subset: str) -> int:
        """The size of the training set's part that the grid calls `subset`."""
        part = self.subsets.get(subset)
        return self.train_examples if part is None else part.examples
