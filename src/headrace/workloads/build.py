"""From labelled examples to a workload: what the built-in ones use, and the door for a user's own data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from headrace import checks
from headrace.arrays import for_torch, unmasked
from headrace.errors import InputError
from headrace.ids import Id, checked
from headrace.training.data import TensorData
from headrace.workloads import _settings
from headrace.workloads._base import Workload
from headrace.workloads.class_numbers import check_classes, class_numbers
from headrace.workloads.labelled import Labelled, Splits, flip_labels, split
from headrace.workloads.models import Model

if TYPE_CHECKING:
    from headrace.workloads.readers.pictures import Mode

_DRAWN_SHARE = 0.1
"""Share of the examples that becomes a validation, or a test, split where none is given."""
_VALIDATION_NAMES = ("validation", "valid", "val")
_SPLIT_NAMES = ("train", *_VALIDATION_NAMES, "test")
_LIKE_SPLITS = frozenset(
    {*_SPLIT_NAMES, "training", "testing", "tests", "dev", "eval", "evaluation", "train_set", "test_set"}
)
"""Names that folders of splits have, in lower case."""


@dataclass(frozen=True)
class Pixels:
    """A batch of uint8 pixels as float32 `(pixels - mean) / scale`; the default maps 0 .. 255 to 0 .. 1.

    Plain numbers and no tensors, so that it runs on any device without a transfer.
    """

    mean: float = 0.0
    scale: float = 255.0

    def __call__(self, pixels: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The batch as float32."""
        values = pixels.to(torch.float32)
        return (values.sub_(self.mean) if self.mean else values).mul_(1.0 / self.scale)


CENTRED = Pixels(mean=127.5, scale=127.5)
"""Pixels from -1 to 1."""


def classification(
    name: str,
    splits: Splits,
    *,
    model: Model,
    goal: float,
    transform: Pixels | None = None,
    label_noise: float = 0.0,
    description: str = "",
    show: Callable[[Any], object] | None = None,
    train_transform: Callable[[Any], Any] | None = None,
    eval_transform: Callable[[Any], Any] | None = None,
) -> Workload:
    """A workload of classification: cross-entropy, and the share of errors as its metric.

    Args:
        name: What it is called.
        splits: The fixed splits, in memory.
        model: Called with the shape of one (transformed) example and the number of classes.
        goal: Validation error, strictly below.
        transform: Applied to each fetched batch of inputs.
        label_noise: Share of the training labels replaced by another class, uniformly; always the same
            ones. The clean labels are the workload's `clean_targets`. Validation and test keep theirs.
        description: For the report.
        show: What a reader is shown of a training example, see `Workload`.
        train_transform: Applied after `transform` to what is trained on, and may be random, see `Workload`.
        eval_transform: Applied after `transform` in evaluations, see `Workload`.

    Raises:
        InputError: `label_noise` is not a share, or there are fewer than two classes.
    """
    label_noise = _settings.share("label_noise", label_noise)
    train = splits.train
    classes = max(part.num_classes for part in (train, splits.validation, splits.test) if part is not None)
    if classes < 2:
        raise InputError("at least two classes are needed", where=name, got=classes)
    targets = flip_labels(train.targets, classes, label_noise, name) if label_noise else train.targets
    data = TensorData(train.inputs, targets, transform, ids=train.ids)
    shape = _shape(data, eval_transform)
    test = splits.test
    return Workload(
        name=name,
        train=data,
        validation=TensorData(splits.validation.inputs, splits.validation.targets, transform),
        test=TensorData(test.inputs, test.targets, transform) if test is not None else None,
        build_model=lambda: model(shape, classes),
        goal=goal,
        classes=train.classes,
        description=description,
        clean_targets=train.targets if label_noise else None,
        show=show,
        train_transform=train_transform,
        eval_transform=eval_transform,
    )


def _shape(data: TensorData, eval_transform: Callable[[Any], Any] | None) -> tuple[int, ...]:
    """The shape of one example as models get it."""
    inputs, _ = data.fetch(torch.zeros(1, dtype=torch.int64))
    return tuple((inputs if eval_transform is None else eval_transform(inputs)).shape[1:])


def from_tensors(
    inputs: Shaped[Tensor | np.ndarray, "examples ..."],
    targets: Shaped[Tensor | np.ndarray, " examples"],
    *,
    model: Model,
    goal: float,
    name: str = "tensors",
    classes: tuple[str, ...] | None = None,
    transform: Pixels | None = None,
    label_noise: float = 0.0,
    ids: object = None,
    show: Callable[[Any], object] | None = None,
    train_transform: Callable[[Any], Any] | None = None,
    eval_transform: Callable[[Any], Any] | None = None,
) -> Workload:
    """A workload from arrays in memory; a tenth each, stratified and always the same, is validation and test.

    Args:
        inputs: Examples [examples ...]; float32, or uint8 with a `transform`.
        targets: Class numbers from 0 [examples], whole numbers of any type.
        model: Called with the shape of one example and the number of classes.
        goal: Validation error, strictly below.
        name: What it is called; also names the stream of the split.
        classes: The classes' names.
        transform: Applied to each fetched batch of inputs, for example `Pixels()`.
        label_noise: As in `classification`.
        ids: What the examples are called wherever a person or a file names them: integers or texts, each
            different [examples]. None: their rows in these arrays.
        show: What a reader is shown of the example with this id, see `Workload`.
        train_transform: Applied to each batch of inputs that is trained on; may be random, see `Workload`.
        eval_transform: Applied to each batch of inputs in evaluations, see `Workload`.

    Raises:
        InputError: The inputs are not numbers, the targets are not class numbers (texts, real numbers, NaN,
            negative or not counted from 0), or the ids are not such.
    """
    checks.text(name, "name")
    check_classes(classes)
    whole = Labelled(
        inputs=_numbers(inputs, name),
        targets=class_numbers(targets, name, named=classes is not None),
        classes=classes,
        ids=np.arange(len(targets)) if ids is None else checked(ids, len(targets), where="from_tensors"),
    )
    return classification(
        name,
        complete_splits(whole, None, None, name),
        model=model,
        goal=goal,
        transform=transform,
        label_noise=label_noise,
        show=show,
        train_transform=train_transform,
        eval_transform=eval_transform,
    )


def from_folder(
    folder: Path | str,
    *,
    model: Model,
    goal: float,
    mode: Mode = "RGB",
    size: tuple[int, int] | None = None,
    name: str | None = None,
    label_noise: float = 0.0,
    ids: Callable[[str], Id] | None = None,
    train_transform: Callable[[Any], Any] | None = None,
    eval_transform: Callable[[Any], Any] | None = None,
) -> Workload:
    """A workload from a folder of pictures, one subfolder a class.

    With subfolders `train`, `validation` (or `val`, `valid`) and `test`, each holding the classes, these are
    the splits; a missing validation split is a tenth of the training pictures. Without them, validation and
    test are a tenth each of all pictures. What is drawn is stratified and always the same.

    Args:
        folder: The folder.
        model: Called with (channels, height, width) and the number of classes.
        goal: Validation error, strictly below.
        mode: "L" for grey, "RGB" for colour.
        size: (height, width) to which every picture is scaled; needed where they differ.
        name: What it is called; the folder's name by default. Also names the stream of the split.
        label_noise: As in `classification`.
        ids: A picture's path, relative to `folder` and with `/` between its parts -> what it is called
            wherever a person or a file names it. None: that path.
        train_transform: Applied to each batch of inputs that is trained on; may be random, see `Workload`.
        eval_transform: Applied to each batch of inputs in evaluations, see `Workload`.

    Raises:
        InputError: The folder cannot be read as pictures in classes.
    """
    # Pillow and Polars are imported by those who read such folders, not by every worker.
    from headrace.workloads.readers.image_folder import read_image_folder

    folder = Path(folder)
    name = name or folder.resolve().name
    _check_split_names(folder)
    named = (folder / "train").is_dir()
    if not named:
        whole = read_image_folder(folder, mode=mode, size=size)
        splits = complete_splits(whole, None, None, name)
    else:
        train = read_image_folder(folder / "train", mode=mode, size=size)
        other = {
            part.name: read_image_folder(part, mode=mode, size=size, classes=train.classes)
            for part in (folder / name for name in (*_VALIDATION_NAMES, "test"))
            if part.is_dir()
        }
        splits = complete_splits(train, _first(other, _VALIDATION_NAMES), other.get("test"), name)
    splits = replace(splits, train=_called(splits.train, "train/" if named else "", ids))
    return classification(
        name,
        splits,
        model=model,
        goal=goal,
        transform=CENTRED,
        label_noise=label_noise,
        train_transform=train_transform,
        eval_transform=eval_transform,
    )


def from_hugging_face(
    folder: Path | str,
    *,
    model: Model,
    goal: float,
    image: str | None = None,
    label: str | None = None,
    mode: Mode = "RGB",
    size: tuple[int, int] | None = None,
    name: str | None = None,
    label_noise: float = 0.0,
    ids: str | None = None,
    train_transform: Callable[[Any], Any] | None = None,
    eval_transform: Callable[[Any], Any] | None = None,
) -> Workload:
    """A workload from a Hugging Face image data set on disk (`save_to_disk`, or Parquet files).

    The splits `train`, `validation` (or `val`, `valid`) and `test` are taken as they are; what is missing is
    drawn as in `from_folder`.

    Args:
        folder: The data set's folder.
        model: Called with (channels, height, width) and the number of classes.
        goal: Validation error, strictly below.
        image: The column of pictures; None looks for the usual names.
        label: The column of class numbers; None looks for the usual names.
        mode: "L" for grey, "RGB" for colour.
        size: (height, width) to which every picture is scaled; needed where they differ.
        name: What it is called; the folder's name by default. Also names the stream of the split.
        label_noise: As in `classification`.
        ids: The column with what the pictures are called wherever a person or a file names them. None:
            their rows in the training split, from 0.
        train_transform: Applied to each batch of inputs that is trained on; may be random, see `Workload`.
        eval_transform: Applied to each batch of inputs in evaluations, see `Workload`.

    Raises:
        InputError: The folder cannot be read as an image data set.
    """
    from headrace.workloads.readers.hugging_face import read_hugging_face
    from headrace.workloads.readers.hugging_face_files import has_split

    folder = Path(folder)
    name = name or folder.resolve().name
    parts = {
        part: read_hugging_face(
            folder, part, image=image, label=label, mode=mode, size=size, ids=ids if part == "train" else None
        )
        for part in ("train", *_VALIDATION_NAMES, "test")
        if part == "train" or has_split(folder, part)
    }
    splits = complete_splits(parts["train"], _first(parts, _VALIDATION_NAMES), parts.get("test"), name)
    return classification(
        name,
        splits,
        model=model,
        goal=goal,
        transform=CENTRED,
        label_noise=label_noise,
        train_transform=train_transform,
        eval_transform=eval_transform,
    )


def complete_splits(train: Labelled, validation: Labelled | None, test: Labelled | None, name: str) -> Splits:
    """Draw the splits that are missing from `train`.

    A missing validation split is a tenth of `train`; where test is missing as well, that is another tenth. A
    data set with its own validation split and no test stays without one.
    """
    if validation is not None:
        return Splits(train=train, validation=validation, test=test)
    drawn = max(1, round(_DRAWN_SHARE * len(train)))
    if len(train) < 3:
        raise InputError("too few examples to draw splits from", where=name, got=len(train))
    if test is not None:
        kept, validation = split(train, (len(train) - drawn, drawn), name)
        return Splits(train=kept, validation=validation, test=test)
    kept, validation, test = split(train, (len(train) - 2 * drawn, drawn, drawn), name)
    return Splits(train=kept, validation=validation, test=test)


def _numbers(inputs: Any, where: str) -> Tensor:
    if isinstance(inputs, Tensor):
        return inputs
    try:
        return torch.from_numpy(for_torch(np.asarray(unmasked(inputs))))
    except (InputError, ValueError) as error:
        what = error.what if isinstance(error, InputError) else str(error)
        raise InputError(f"inputs must be an array of numbers: {what}", where=where) from None


def _called(pictures: Labelled, before: str, ids: Callable[[str], Id] | None) -> Labelled:
    """The pictures, called by their whole paths or as `ids` calls these."""
    assert pictures.ids is not None
    paths = [f"{before}{path}" for path in pictures.ids]
    given = paths if ids is None else [ids(path) for path in paths]
    return replace(pictures, ids=checked(given, len(paths), where="from_folder"))


def _check_split_names(folder: Path) -> None:
    """Refuse folders that look like splits and would be taken for classes, or passed over."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    other = [name for name in names if name.lower() in _LIKE_SPLITS and name not in _SPLIT_NAMES]
    validation = [name for name in names if name in _VALIDATION_NAMES]
    parts = other + [name for name in names if name in _SPLIT_NAMES]
    if (other and len(parts) > 1) or len(validation) > 1 or (parts and "train" not in parts):
        raise InputError(
            "the folder's splits must be called train, validation (or val, or valid) and test",
            where=str(folder),
            got=parts,
            fix="Rename these folders; of several for validation keep one.",
        )


def _first(parts: dict[str, Labelled], names: tuple[str, ...]) -> Labelled | None:
    return next((parts[name] for name in names if name in parts), None)
