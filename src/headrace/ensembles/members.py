"""A member of an ensemble: a safetensors checkpoint and a function that builds the model it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from headrace.errors import DamagedError, InputError
from headrace.tensors import read_checkpoint

Build = Callable[[], nn.Module]
"""Builds a model with any weights; the same function for all members of one architecture."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One model of an ensemble, not yet loaded.

    Attributes:
        name: Unique among the members: statistics count each name once for each example.
        checkpoint: A safetensors file of the model's `state_dict`.
        build: Builds the model. Members with the very same function are taken to share an architecture.
        sha256: Of the file, if given: other content is refused when it is read.
    """

    name: str
    checkpoint: Path
    build: Build
    sha256: str | None = None

    def load(self, device: torch.device | str = "cpu") -> nn.Module:
        """The model with the checkpoint's weights, in eval mode, without gradients.

        Raises:
            InputError: The file is missing, or its keys or shapes are not those of the built model; names
                them all.
            DamagedError: The file is not a whole safetensors file, or not the one with this checksum.
        """
        where = f"member {self.name!r} ({self.checkpoint})"
        tensors = _read(self.checkpoint, where, self.sha256)
        model = self.build()
        if not isinstance(model, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError("build must return a torch module", where=where, got=type(model).__name__)
        _check_fit(model.state_dict(), tensors, where)
        model.load_state_dict(tensors)
        return model.to(device).eval().requires_grad_(False)


def check_names(members: list[Member] | tuple[Member, ...]) -> None:
    """Refuse an empty ensemble and names that occur twice."""
    if not members:
        raise InputError("an ensemble needs at least one member", where="members")
    names = [member.name for member in members]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError("members must have different names", where="members", got=twice)


def _read(path: Path, where: str, sha256: str | None) -> dict[str, Tensor]:
    if not Path(path).is_file():
        raise InputError("the checkpoint does not exist", where=where)
    try:
        return read_checkpoint(Path(path), sha256=sha256)
    except DamagedError as error:
        fix = (
            "Save it again with `safetensors.torch.save_model`; one that Headrace kept is made again if its "
            "folder is deleted."
        )
        raise DamagedError(f"the checkpoint cannot be read: {error.what}", where=where, fix=fix) from error


def _check_fit(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], where: str) -> None:
    """Refuse a checkpoint of another model; everything that does not fit in one message."""
    faults = [f"{name} is missing" for name in expected if name not in tensors]
    faults += [f"{name} is not in the model" for name in tensors if name not in expected]
    faults += [
        f"{name} has the shape {tuple(tensors[name].shape)} and the model's has {tuple(value.shape)}"
        for name, value in expected.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    if faults:
        shown = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
        raise InputError(
            f"the checkpoint does not fit the model that was built: {shown}",
            where=where,
            fix="Give the build function of the model that was saved.",
        )
