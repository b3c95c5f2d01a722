"""Facts about the workload of a search, found when it was loaded."""

from __future__ import annotations

from headrace.records import Record
from headrace.workloads.fingerprint import Fingerprint
from headrace.workloads.kinds import Targets


class Facts(Record):
    """Facts about the workload, found when it was loaded.

    Attributes:
        examples: The size of the training set.
        checksum: Of the training set.
        num_classes: Columns of a model's output.
        classes: The classes' names; their numbers if they have none.
        metric: What the comparison measures: `test/...`, or `validation/...` without a test split.
        members: Paths of the user's own checkpoints, in order.
        gpus: How many GPUs there are; 0 if runs are trained on the CPU.
        features: Inputs of the model's last linear layer; None if no method asks for them.
        targets: The kind of the targets.
        scoring_bytes: The most memory that a scoring holds in addition to the data.
        fingerprint: What the workload is.
        random_items: Whether the training examples differ from fetch to fetch.
    """

    examples: int
    checksum: str
    num_classes: int
    classes: tuple[str, ...]
    metric: str
    members: tuple[str, ...] = ()
    gpus: int = 0
    features: int | None = None
    targets: Targets = "classes"
    scoring_bytes: int = 0
    fingerprint: Fingerprint | None = None
    random_items: bool = False

    @property
    def multilabel(self) -> bool:
        """Whether every class is a yes or no of its own."""
        return self.targets == "labels"
