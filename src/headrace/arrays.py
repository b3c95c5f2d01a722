"""Arrays of any kind: lists, NumPy arrays, tensors of any device. Imports torch only for tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headrace.errors import InputError

if TYPE_CHECKING:
    import torch

Array = Any
"""A NumPy array, or a tensor on an accelerator."""

WITHOUT_FLOAT64 = frozenset({"mps"})
"""Kinds of devices that cannot hold float64."""


def on_host(values: Any, dtype: npt.DTypeLike | None = None) -> np.ndarray:
    """The values as a NumPy array, of this type if one is given; shares memory if it can.

    Args:
        values: Anything that NumPy takes; a tensor on any device, with or without a gradient, of any type
            that NumPy has, or bfloat16, which becomes float32; or a list of such tensors.
        dtype: The type of the array; None keeps that of the values.
    """
    if isinstance(values, list | tuple):
        values = [on_host(value) if hasattr(value, "detach") else value for value in values]
    elif hasattr(values, "detach"):
        import torch

        host = values.detach().cpu()
        values = (host.float() if host.dtype == torch.bfloat16 else host).numpy()
    try:
        return np.asarray(unmasked(values), dtype=dtype)
    except ValueError:
        what = f"{type(values).__name__} {values!r:.60}"
        raise InputError("must be numbers, in rows of one length", where="array", got=what) from None


def unmasked(values: Any) -> Any:
    """The values as they are.

    Raises:
        InputError: An array of `numpy.ma` in which some are masked: what is under the mask would be taken.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        fix = "Leave out these examples, or fill them in: values.filled(...)."
        raise InputError(f"{int(np.ma.count_masked(values))} values are masked", where="array", fix=fix)
    return values


def for_torch(values: np.ndarray) -> np.ndarray:
    """The same numbers in a type, a byte order and a layout that torch has; a copy only if theirs is another.

    Raises:
        InputError: They are not numbers, or some are masked.
    """
    values = np.asarray(unmasked(values))
    if values.dtype.kind not in "biuf":
        raise InputError("an array of numbers is needed", got=str(values.dtype))
    kind = np.dtype(np.float64) if values.dtype.itemsize > 8 else values.dtype.newbyteorder("=")
    values = np.ascontiguousarray(values, dtype=kind)
    return values if values.flags.writeable else values.copy()


def widest(device: torch.device) -> torch.dtype:
    """The widest floating type of a device: float64, or float32 if the device has no other."""
    import torch

    return torch.float32 if device.type in WITHOUT_FLOAT64 else torch.float64


def works_there(values: Any) -> bool:
    """Whether the values are a tensor on an accelerator with float64, so that work on them may stay there."""
    kind = getattr(getattr(values, "device", None), "type", "cpu")
    return kind not in {"cpu", *WITHOUT_FLOAT64}


def beside(array: np.ndarray, values: Any) -> Array:
    """The array as a tensor on the device of `values` if work on them stays there, else as it is."""
    if not works_there(values):
        return array
    import torch

    return torch.from_numpy(array).to(values.device, non_blocking=True)
