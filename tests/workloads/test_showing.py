"""From an example to what a reader sees of it."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from headrace.errors import InputError
from headrace.training.data import MapData, TensorData
from headrace.workloads import Workload
from headrace.workloads.models import logistic
from headrace.workloads.registry import load_workload
from headrace.workloads.showing import MOST_CHARACTERS, MOST_PIXELS, as_picture, shortened, shower, shown
from headrace.workloads.tokens import build_vocabulary, tokenize


def decoded(png: bytes | None) -> np.ndarray:
    assert png is not None
    return np.asarray(Image.open(io.BytesIO(png)))


def workload(inputs: torch.Tensor, **fields: object) -> Workload:
    targets = torch.zeros(len(inputs), dtype=torch.int64)
    data = TensorData(inputs, targets)
    made = Workload(name="made", train=data, validation=data, build_model=lambda: logistic((1,), 2), goal=0.1)
    return replace(made, **fields)


BYTES = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (BYTES, BYTES),
        (BYTES.transpose(2, 0, 1), BYTES),
        (BYTES[:, :, 0], BYTES[:, :, 0]),
        (BYTES[None, :, :, 0], BYTES[:, :, 0]),
        (torch.from_numpy(BYTES), BYTES),
        (Image.fromarray(BYTES), BYTES),
        # From 0 to 1, from -1 to 1, and from anything to anything.
        (np.array([[0.0, 0.2, 1.0, 0.6]]), np.array([[0, 51, 255, 153]])),
        (np.array([[-1.0, 0.0, 0.5, 1.0]]), np.array([[0, 128, 191, 255]])),
        (np.array([[10.0, 20.0, 30.0, 15.0]]), np.array([[0, 128, 255, 64]])),
        (np.array([[7.0, 7.0]]), np.array([[0, 0]])),
        (np.array([[np.nan, 1.0]]), np.array([[0, 255]])),
    ],
)
def test_pictures_keep_their_pixels(value: object, expected: np.ndarray) -> None:
    assert np.array_equal(decoded(shown(value).png), expected)


@pytest.mark.parametrize("value", [np.zeros(5), np.zeros((2, 5, 5)), np.zeros((0, 5)), 7, None, [1.0]])
def test_what_is_no_picture_and_no_text_is_not_shown(value: object) -> None:
    assert (shown(value).png, shown(value).text) == (None, None)


def test_a_picture_is_not_changed_by_being_shown() -> None:
    value = np.linspace(-3, 3, 16).reshape(4, 4)
    before = value.copy()
    as_picture(value)
    assert np.array_equal(value, before)


def test_large_pictures_are_reduced_in_proportion() -> None:
    assert decoded(shown(np.zeros((400, 200), dtype=np.uint8)).png).shape == (MOST_PIXELS, MOST_PIXELS // 2)


def test_texts_are_one_line_and_not_too_long() -> None:
    assert shown("a\nb\t c\x00d").text == "a b c d"
    long = shortened("word " * 200)
    assert len(long) <= MOST_CHARACTERS
    assert long.endswith("…")


def test_inputs_of_a_pictures_shape_are_shown_as_they_are_before_the_transform() -> None:
    pixels = torch.arange(2 * 25, dtype=torch.uint8).reshape(2, 1, 5, 5)
    made = workload(pixels)
    made.train.transform = lambda batch: batch.float() - 1e6  # type: ignore[attr-defined]
    assert np.array_equal(decoded(shower(made)(1).png), pixels[1, 0].numpy())
    of_items = MapData([(pixel.float() / 255, 0) for pixel in pixels])
    assert np.array_equal(decoded(shower(replace(made, train=of_items))(1).png), pixels[1, 0].numpy())


@pytest.mark.parametrize("shape", [(3,), (9, 9), (1, 2, 9), (5, 9, 9), (1, 9, 9, 9)], ids=str)
def test_inputs_of_other_shapes_are_not_guessed(shape: tuple[int, ...]) -> None:
    assert shower(workload(torch.zeros(2, *shape)))(0).png is None


def test_a_workloads_own_show_decides() -> None:
    made = workload(torch.zeros(2, 1, 5, 5), show=lambda index: f"the {index}th")
    assert shower(made)(1).text == "the 1th"
    with pytest.raises(InputError, match="show must be a function of an index"):
        workload(torch.zeros(2, 3), show="me")


def test_the_digits_are_shown_as_they_are_printed() -> None:
    digits = load_workload("digits-mlp")
    picture = decoded(shower(digits)(3).png)
    assert picture.shape == (8, 8)
    expected = (digits.train.inputs[3].reshape(8, 8) * 255).round().numpy()  # type: ignore[attr-defined]
    assert np.array_equal(picture, expected)


def test_decoding_gives_back_the_tokens_that_the_vocabulary_knows() -> None:
    sentences = [tokenize(text) for text in ("a fine film .", "it's not a film")]
    vocabulary = build_vocabulary(sentences)
    rows = vocabulary.encode([*sentences, tokenize("a dull film")], 6)
    assert [vocabulary.decode(row) for row in rows] == [*sentences, ["a", "…", "film"]]
