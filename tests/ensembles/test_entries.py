"""What each acquisition function needs."""

from __future__ import annotations

import pytest

from headrace.ensembles import acquisition
from headrace.ensembles.registry import ACQUISITIONS


def test_what_acquisition_functions_need_stays() -> None:
    found = {
        flag: {name for name, entry in ACQUISITIONS.items() if getattr(entry, flag)}
        for flag in ("needs_labels", "needs_several", "multilabel")
    }
    assert found == {
        "needs_labels": {"error_count"},
        "needs_several": {"mutual_information", "variation_ratio"},
        "multilabel": {"entropy", "mutual_information"},
    }


def test_every_function_is_an_attribute_and_nothing_else_is() -> None:
    for name, function in acquisition.FUNCTIONS.items():
        assert acquisition.__getattr__(name) is function
    with pytest.raises(AttributeError, match="no attribute 'surprise'"):
        acquisition.__getattr__("surprise")
