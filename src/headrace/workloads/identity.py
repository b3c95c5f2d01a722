"""The fingerprint of a loaded workload, and whether its examples can be drawn again as they were.

Tensors are hashed whole, in pieces, without a copy. Of other data sets `SAMPLED` examples are, spread evenly;
each is fetched on a stream of its own, so examples that are changed at random have a checksum all the same.
Two fetches on the same streams must be equal, or no interrupted run could be repeated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import headrace
from headrace.errors import InputError
from headrace.nested import leaves
from headrace.random import torch_stream
from headrace.training.data import ExampleData, TensorData
from headrace.workloads._base import Workload
from headrace.workloads.computed import SEED, SHOWN, computed, spread
from headrace.workloads.fingerprint import Fingerprint, Split
from headrace.workloads.registry import NAMES
from headrace.workloads.sources import sources

SAMPLED = 128
"""Examples of a data set that is not stored in tensors: at 5 ms each, two thirds of a second."""
PIECE_BYTES = 1 << 26
_SEEDABLE = (
    "Draw from torch's, NumPy's or Python's global generators: they are seeded for every trial. A generator "
    "of the data set's own is not."
)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A fingerprint, and what was seen on the way.

    Attributes:
        fingerprint: The fingerprint.
        draws: Whether the workload draws from NumPy's or Python's global generators while it trains.
        random_items: Whether the training examples differ from fetch to fetch.
    """

    fingerprint: Fingerprint
    draws: bool
    random_items: bool


def identify(
    loaded: Workload,
    placed: Workload,
    *,
    spec: str,
    settings: Mapping[str, Any],
    goal: float,
    device: torch.device | str = "cpu",
    targets: bool = True,
    modules: Sequence[str] = (),
    trains: bool = True,
) -> Identity:
    """Take the fingerprint of a workload.

    Args:
        loaded: As its function returned it.
        placed: The same with its data on `device`.
        spec: Its name or `module:function`.
        settings: The settings it was built with.
        goal: The goal in force.
        device: Where its models run.
        targets: Whether the training targets may be looked at.
        modules: Further modules of the user's that count.
        trains: Whether such models are trained; if not, the loss and the metric are not asked.

    Raises:
        InputError: Examples change from fetch to fetch and cannot be seeded, or are those of an evaluation.
    """
    random_items = varies("train", placed.train)
    _check_transforms(placed, random_items=random_items)
    names = [] if spec in NAMES else [spec.partition(":")[0]]
    found = {file: digest for name in (*names, *modules) for file, digest in sources(name).items()}
    results, drew = computed(placed, torch.device(device), trains=trains, targets=targets)
    clean = loaded.clean_targets
    fingerprint = Fingerprint(
        train=split_of(loaded.train, targets=targets),
        validation=split_of(loaded.validation),
        test=None if loaded.test is None else split_of(loaded.test),
        clean_targets=None if clean is None or not targets else _sha256([clean]),
        metric_name=loaded.metric_name,
        goal=goal,
        mean_over=loaded.mean_over,
        settings=dict(settings),
        sources=found,
        versions={"headrace": headrace.__version__, "torch": torch.__version__.partition("+")[0]},
        **vars(results),
    )
    plain = _is_rows(loaded.train) and loaded.train_transform is None
    return Identity(fingerprint=fingerprint, draws=drew or not plain, random_items=random_items)


def split_of(data: ExampleData, *, targets: bool = True) -> Split:
    """A split's number of examples and the checksum of their raw inputs and targets."""
    if isinstance(data, TensorData):
        hashed, parts = len(data), ([data.inputs], [data.targets])
    else:
        places = spread(len(data), SAMPLED)
        fetched = _fetched(data, places)
        hashed, parts = len(places), ([*leaves([x for x, _ in fetched])], [*leaves([y for _, y in fetched])])
    return Split(
        examples=len(data),
        hashed=hashed,
        inputs=_sha256(parts[0]),
        targets=_sha256(parts[1]) if targets else None,
    )


def _fetched(data: ExampleData, places: Tensor, *path: str) -> list[tuple[Any, Any]]:
    """Each of these examples alone, on a stream of its own."""
    found: list[tuple[Any, Any]] = []
    for place in places.split(1):
        with torch_stream(SEED, "identity", int(place), *path):
            found.append(data.fetch(place))
    return found


def _sha256(tensors: Sequence[Tensor]) -> str:
    """The SHA-256 of types, shapes and values, to the byte."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        for piece in _pieces(tensor):
            digest.update(piece.numpy().data)
    return digest.hexdigest()


def _pieces(tensor: Tensor) -> Iterator[Tensor]:
    """Its bytes in order, on the host, some rows at a time."""
    if tensor.numel() == 0:
        return
    rows = tensor.detach().reshape(1) if tensor.ndim == 0 else tensor.detach()
    size = max(1, PIECE_BYTES // max(1, rows[0].numel() * rows.element_size()))
    for piece in rows.split(size):
        yield piece.cpu().contiguous().reshape(-1).view(torch.uint8)


def _is_rows(data: ExampleData) -> bool:
    """Whether examples are rows of tensors as they are: no code of others runs when they are fetched."""
    return isinstance(data, TensorData) and data.transform is None


def varies(name: str, data: ExampleData) -> bool:
    """Whether examples differ from fetch to fetch.

    Raises:
        InputError: They do so on the same streams.
    """
    if _is_rows(data):
        return False
    places = spread(len(data), SHOWN)
    first, again, other = (_sha256([*leaves(_fetched(data, places, *path))]) for path in ((), (), ("other",)))
    if first != again:
        raise InputError(
            "the data set is random in a way that cannot be seeded: fetched twice, the same examples differ",
            where=f"Workload.{name}",
            fix=_SEEDABLE,
        )
    return first != other


def _check_transforms(workload: Workload, *, random_items: bool) -> None:
    """Refuse what no run could repeat: unseedable training examples, and evaluations of changing ones."""
    if workload.train_transform is not None:
        varies("train_transform", workload.training_data)
    evaluated = ["validation", *(["test"] if workload.test is not None else [])]
    if workload.eval_transform is not None and not random_items:
        evaluated.append("train")
    for name in evaluated:
        if varies(name, workload.evaluation_data(name)):
            raise InputError(
                "the examples of an evaluation must not change from fetch to fetch, and these do",
                where=f"Workload.{name}",
                fix="Leave the random transform out there. One for training alone is "
                "Workload(train_transform=...).",
            )
