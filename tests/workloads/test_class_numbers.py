"""Labels as users have them: right as class numbers, or refused with the fix."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.workloads import from_tensors
from headrace.workloads.class_numbers import class_numbers
from headrace.workloads.models import mlp

WHOLE = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")


@given(
    numbers=st.lists(st.integers(0, 4), min_size=1, max_size=20),
    dtype=st.sampled_from(WHOLE),
    column=st.booleans(),
    form=st.sampled_from(["array", "list", "tensor", "objects", "series", "backwards"]),
)
def test_whole_numbers_of_any_type_and_form(numbers: list[int], dtype: str, column: bool, form: str) -> None:
    numbers = [*range(5), *numbers]
    array = np.array(numbers, dtype=dtype)
    shaped = array[:, None] if column else array
    given_as: Any = {
        "array": shaped,
        "list": shaped.tolist(),
        "tensor": torch.from_numpy(shaped),
        "objects": shaped.astype(object),
        "series": pl.Series(array),
        "backwards": shaped[::-1][::-1],
    }[form]
    found = class_numbers(given_as, "mine")
    assert found.dtype == torch.int64
    assert found.tolist() == numbers


def test_yes_and_no_are_two_classes() -> None:
    assert class_numbers([True, False, True], "mine").tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ([0.0, 0.7, 1.0], r"targets\[1\] is 0.7. For regression"),
        ([0.0, 1.0, np.nan, np.nan], r"targets\[2\] is nan. Leave out the 2 examples"),
        ([0.0, np.inf], r"targets\[1\] is inf"),
        ([0.0, 1e300], r"targets\[1\] is 1e\+300"),
        ([1, -1, 1], r"\(targets \+ 1\) // 2"),
        ([0, 1, -1, 2, -1], "number 2 is -1. Leave out the 2 examples"),
        ([-100, 0, 1], "number 0 is -100"),
        ([1, 2, 3, 2], "targets - 1, or name the classes"),
        ([5, 6], "targets - 5"),
        ([0, 17, 4005], "return_inverse"),
        (["cat", "dog"], "str 'cat'.*return_inverse"),
        (np.array([b"a", b"b"]), "return_inverse"),
        (np.array([0, "b", None], dtype=object), "str 'b'"),
        (np.array([0, None], dtype=object), "NoneType None"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "class numbers"),
        (np.array([1j, 0]), "class numbers"),
        (np.eye(3), r"argmax\(1\)"),
        (np.zeros((4, 5, 5), dtype=np.uint8), "masks"),
    ],
)
def test_others_are_refused_with_the_fix(targets: Any, words: str) -> None:
    with pytest.raises(InputError, match=rf"(?s)^mine: .*{words}"):
        class_numbers(targets, "mine")


def test_names_say_that_numbers_are_meant() -> None:
    assert class_numbers([1, 2, 1], "mine", named=True).tolist() == [1, 2, 1]
    assert class_numbers([0, 1, 3], "mine").tolist() == [0, 1, 3]


def test_a_workload_is_built_for_the_classes_that_there_are() -> None:
    rng = np.random.default_rng(3)
    targets = rng.integers(0, 3, 60)
    made = from_tensors(rng.normal(size=(60, 4)).astype("f4"), targets.astype("f4"), model=mlp, goal=0.1)
    assert made.build_model()(torch.zeros(1, 4)).shape == (1, 3)
    with pytest.raises(InputError, match="inputs must be an array of numbers"):
        from_tensors(np.array(["a", "b"] * 30), targets, model=mlp, goal=0.1)  # pyright: ignore[reportArgumentType]


def test_masked_values_are_not_taken_from_under_their_mask() -> None:
    inputs, targets = np.zeros((20, 2), dtype="f4"), np.arange(20) % 2
    with pytest.raises(InputError, match="1 values are masked"):
        from_tensors(inputs, np.ma.array(targets, mask=np.arange(20) == 7), model=mlp, goal=0.1)
    with pytest.raises(InputError, match="inputs must be an array of numbers: 2 values are masked"):
        from_tensors(
            np.ma.array(inputs, mask=np.arange(40).reshape(20, 2) > 37), targets, model=mlp, goal=0.1
        )
    made = from_tensors(np.ma.array(inputs), targets.astype(">i8"), model=mlp, goal=0.1)
    assert len(made.train) == 16
