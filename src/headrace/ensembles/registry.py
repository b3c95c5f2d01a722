"""The names of acquisition functions, and what each needs. Imports no torch.

One is added by a file with its function of `EnsembleStatistics`, and one line here.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.homes import Entry

_HERE = "headrace.ensembles.acquisition:"


@dataclass(frozen=True, kw_only=True)
class AcquisitionEntry(Entry):
    """An acquisition function.

    Attributes:
        needs_labels: Whether it looks at the labels, and so cannot choose what to label.
        needs_several: Whether one member gives every example the same score.
        multilabel: Whether it has a form for classes that are each a yes or no of its own.
    """

    needs_labels: bool = False
    needs_several: bool = False
    multilabel: bool = False


ACQUISITIONS: dict[str, AcquisitionEntry] = {
    "entropy": AcquisitionEntry(home=_HERE + "entropy", multilabel=True),
    "mutual_information": AcquisitionEntry(
        home=_HERE + "mutual_information", needs_several=True, multilabel=True
    ),
    "variation_ratio": AcquisitionEntry(home=_HERE + "variation_ratio", needs_several=True),
    "error_count": AcquisitionEntry(home=_HERE + "error_count", needs_labels=True),
    "margin": AcquisitionEntry(home=_HERE + "margin"),
    "least_confidence": AcquisitionEntry(home=_HERE + "least_confidence"),
}
"""Name -> acquisition function."""
