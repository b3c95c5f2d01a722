from __future__ import annotations

import io
import json
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from PIL import Image

from headrace.errors import InputError
from headrace.training.data import TensorData
from headrace.workloads import Pixels, Workload, from_folder, from_hugging_face, from_tensors
from headrace.workloads.models import logistic, mlp


def content(data: object) -> TensorData:
    assert isinstance(data, TensorData)
    return data


def pictures(folder: Path, values: dict[str, list[int]]) -> None:
    for name, greys in values.items():
        (folder / name).mkdir(parents=True)
        for grey in greys:
            Image.new("L", (4, 4), grey).save(folder / name / f"{grey:03}.png")


def greys(workload_part: object) -> list[int]:
    return sorted(content(workload_part).inputs[:, 0, 0, 0].tolist())


def test_tensors_are_split_into_tenths_that_cover_them() -> None:
    inputs = torch.arange(100.0)[:, None]
    made = from_tensors(inputs, torch.arange(100) % 2, model=logistic, goal=0.1)
    parts = [content(part).inputs[:, 0].tolist() for part in (made.train, made.validation, made.test)]
    assert [len(part) for part in parts] == [80, 10, 10]
    assert sorted(chain(*parts)) == list(range(100))


def test_arrays_are_taken_as_tensors_are() -> None:
    inputs = torch.arange(40, dtype=torch.uint8).reshape(20, 2)
    made = from_tensors(
        inputs.numpy(), (torch.arange(20) % 2).int().numpy(), model=logistic, goal=0.1, transform=Pixels()
    )
    x, y = made.train.fetch(torch.tensor([0]))
    assert x.tolist()[0] == pytest.approx([float(v) / 255 for v in content(made.train).inputs[0]])
    assert y.dtype == torch.int64


def test_pixels_are_moved_and_scaled() -> None:
    assert Pixels(mean=100.0, scale=50.0)(torch.tensor([0, 100, 200], dtype=torch.uint8)).tolist() == [
        -2,
        0,
        2,
    ]


def test_label_noise_changes_training_labels_only_and_keeps_the_clean_ones() -> None:
    labels = torch.arange(200) % 4

    def build(noise: float) -> Workload:
        return from_tensors(torch.zeros(200, 3), labels, model=logistic, goal=0.1, label_noise=noise)

    clean, noisy = build(0.0), build(0.25)
    assert clean.clean_targets is None
    assert noisy.clean_targets is not None
    assert torch.equal(noisy.clean_targets, content(clean.train).targets)
    assert int((content(noisy.train).targets != noisy.clean_targets).sum()) == 40
    for split in ("validation", "test"):
        assert torch.equal(content(getattr(noisy, split)).targets, content(getattr(clean, split)).targets)


def test_the_model_is_told_the_shape_and_the_classes() -> None:
    told: list[object] = []

    def model(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
        told.append((shape, classes))
        return mlp(shape, classes)

    from_tensors(torch.zeros(30, 2, 3), torch.arange(30) % 3, model=model, goal=0.1).build_model()
    assert told == [((2, 3), 3)]


def test_too_few_examples_or_classes_are_refused() -> None:
    with pytest.raises(InputError, match="too few examples"):
        from_tensors(torch.zeros(2, 1), torch.tensor([0, 1]), model=logistic, goal=0.1)
    with pytest.raises(InputError, match="at least two classes are needed; got 1"):
        from_tensors(torch.zeros(20, 1), torch.zeros(20), model=logistic, goal=0.1)


def test_a_folder_of_classes_is_split(tmp_path: Path) -> None:
    pictures(tmp_path / "animals", {"cat": list(range(20)), "dog": list(range(100, 120))})
    made = from_folder(tmp_path / "animals", model=logistic, goal=0.2, mode="L")
    assert made.name == "animals"
    assert made.classes == ("cat", "dog")
    parts = [greys(part) for part in (made.train, made.validation, made.test)]
    assert [len(part) for part in parts] == [32, 4, 4]
    assert sorted(chain(*parts)) == [*range(20), *range(100, 120)]
    # Stratified: two of each class are held out.
    assert sum(grey < 50 for grey in parts[1]) == 2
    x, _ = made.train.fetch(torch.tensor([0]))
    assert x.shape == (1, 1, 4, 4)
    assert x.dtype == torch.float32
    assert -1 <= float(x.min()) <= float(x.max()) <= 1


def test_the_splits_of_a_folder_are_kept(tmp_path: Path) -> None:
    pictures(tmp_path / "train", {"cat": [1, 2], "dog": [3, 4]})
    pictures(tmp_path / "val", {"dog": [5]})
    pictures(tmp_path / "test", {"cat": [6], "dog": [7]})
    made = from_folder(tmp_path, model=logistic, goal=0.2, name="pets")
    assert [greys(part) for part in (made.train, made.validation, made.test)] == [[1, 2, 3, 4], [5], [6, 7]]
    assert content(made.validation).targets.tolist() == [1]


def test_a_missing_validation_split_is_drawn_from_training(tmp_path: Path) -> None:
    pictures(tmp_path / "train", {"cat": list(range(10)), "dog": list(range(50, 60))})
    pictures(tmp_path / "test", {"cat": [200], "dog": [201]})
    made = from_folder(tmp_path, model=logistic, goal=0.2)
    assert greys(made.test) == [200, 201]
    assert len(made.validation) == 2
    assert sorted(greys(made.train) + greys(made.validation)) == [*range(10), *range(50, 60)]


def png(value: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (4, 4), value).save(stream, format="PNG")
    return stream.getvalue()


def test_a_hugging_face_folder(tmp_path: Path) -> None:
    for split, values in {"train": range(10), "validation": range(20, 24)}.items():
        frame = pl.DataFrame({"img": [png(v) for v in values], "kind": [v % 2 for v in values]})
        frame.write_parquet(tmp_path / f"{split}-00000-of-00001.parquet")
    made = from_hugging_face(tmp_path, model=logistic, goal=0.2, label="kind", mode="L", name="hub")
    assert greys(made.train) == list(range(10))
    assert greys(made.validation) == list(range(20, 24))
    assert made.test is None
    assert made.name == "hub"


def test_a_saved_hugging_face_split_alone_is_split(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    pl.DataFrame(
        {"image": [png(v) for v in range(20)], "label": [v % 2 for v in range(20)]}
    ).write_ipc_stream(folder / "data.arrow")
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    made = from_hugging_face(folder, model=logistic, goal=0.2)
    assert [len(part) for part in (made.train, made.validation, made.test or [])] == [16, 2, 2]


def test_a_folder_of_pictures_and_one_of_hugging_face_keep_their_transforms(tmp_path: Path) -> None:
    pictures(tmp_path / "animals", {"cat": list(range(10)), "dog": list(range(100, 110))})
    content = [(tmp_path / "animals" / "cat" / f"{grey:03}.png").read_bytes() for grey in range(10)]
    pl.DataFrame({"image": content, "label": [0, 1] * 5}).write_parquet(tmp_path / "train.parquet")
    transforms: Any = {"train_transform": lambda x: x + 10.0, "eval_transform": lambda x: x - 10.0}
    for read, folder in ((from_folder, tmp_path / "animals"), (from_hugging_face, tmp_path)):
        made = read(folder, model=logistic, goal=0.2, mode="L", **transforms)
        first = torch.zeros(1, dtype=torch.int64)
        raw = made.train.fetch(first)[0]
        assert torch.equal(made.training_data.fetch(first)[0], raw + 10.0)
        assert torch.equal(made.evaluation_data("train").fetch(first)[0], raw - 10.0)
