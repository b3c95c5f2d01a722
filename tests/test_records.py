"""What is wrong with a file that a program wrote is said in one line, which names the key."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from headrace import History, tensors
from headrace.ensembles import EnsembleStatistics
from headrace.errors import DamagedError, InputError
from headrace.exchange.archive_layout import StudyFile, read_file
from headrace.records import Record, first_finding
from headrace.sealed import read_record


class Inner(Record):
    """A part."""

    size: int


class Outer(Record):
    """The whole."""

    parts: tuple[Inner, ...] = ()


@pytest.mark.parametrize(
    ("content", "text", "got"),
    [
        (
            {"parts": [{"size": 1}, {"size": "many"}]},
            r"parts\.1\.size: Input should be a valid integer.*",
            "many",
        ),
        ({"parts": [{}]}, r"parts\.0\.size: Field required", {}),
        ({"others": 3}, r"others: Extra inputs are not permitted", 3),
        (5, r"Input should be a valid dictionary or instance of Outer", 5),
    ],
)
def test_the_first_finding_is_one_line_with_the_key(content: object, text: str, got: object) -> None:
    with pytest.raises(ValidationError) as raised:
        Outer.model_validate(content)
    found = first_finding(raised.value)
    assert found.got == got
    assert re.fullmatch(text, str(found))


def test_files_of_every_room_name_the_key_at_fault(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(json.dumps({"parts": [{"size": []}]}))
    with pytest.raises(DamagedError, match=r"altered \(parts\.0\.size: [^\n]+\)\. Fix it\.$"):
        read_record(path, Outer, fix="Fix it.")
    about = {key: value for key, value in History(4).state_dict().items() if key != "table"}
    tensors.write(path, "headrace.history", {"table": torch.zeros(4, 3)}, about | {"window": 1})
    with pytest.raises(DamagedError, match=r"the header of the history was altered \(window: [^\n]+\)$"):
        History.load(path)
    state = EnsembleStatistics(4, 2).state_dict()
    with pytest.raises(InputError, match=r"cannot be used \(num_examples: [^\n]+\)$"):
        EnsembleStatistics.from_state_dict(state | {"num_examples": 0})
    study = tmp_path / "study.json"
    study.write_text(json.dumps({"batch_size": "many"}))
    with pytest.raises(DamagedError, match=r"study\.json, key batch_size: Input [^\n]+; got 'many'"):
        read_file(study, StudyFile)
