"""What is known of a workload once it was loaded: the store keeps it, so that analysis need not load it."""

from __future__ import annotations

from pydantic import Field

from headrace.experiments.records import Record


class PartFacts(Record):
    """What is known of a subset of the grid.

    Attributes:
        examples: How many there are in it.
        sha256: Of its file, or None where chance draws it.
    """

    examples: int = Field(ge=1)
    sha256: str | None = None


class WorkloadFacts(Record):
    """The facts of a workload that results depend on, or that a report shows.

    Attributes:
        name: As in the experiment file.
        goal: The validation metric to get strictly below.
        metric_name: The metric; its columns are `validation/<metric_name>` and `test/<metric_name>`.
        train_examples: The size of the training set.
        validation_examples: The size of the validation set.
        test_examples: The size of the test set, or None where there is none.
        parameters: The number of trained parameters of the model.
        description: The workload's own words.
        classes: The names of the classes, or None.
        subsets: The subsets of the grid beside the full one, by name.
    """

    name: str
    goal: float
    metric_name: str = "error"
    train_examples: int = Field(ge=1)
    validation_examples: int = Field(ge=1)
    test_examples: int | None = Field(default=None, ge=1)
    parameters: int = Field(default=0, ge=0)
    description: str = ""
    classes: tuple[str, ...] | None = None
    subsets: dict[str, PartFacts] = Field(default_factory=dict)

    def examples_in(self, subset: str) -> int:
        """The size of the training set's part that the grid calls `subset`."""
        part = self.subsets.get(subset)
        return self.train_examples if part is None else part.examples
