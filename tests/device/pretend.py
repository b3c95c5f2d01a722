"""An accelerator for machines without one: the device `pretend:0`, whose numbers are kept by the host.

On a CPU two faults of code for accelerators cannot show, since everything is on one device and nothing is
ever late. This device shows both. It refuses what a real one refuses:

- an operation on tensors of two devices (as on CUDA, one number of the host may take part in arithmetic);
- NumPy's view of its memory; float64, if it is asked to be one that has none, as Apple's.

And it notes each operation for which the host would wait until the device has caught up: reading a number,
an operation whose result has a size that only the device knows, a copy to the host, and a copy to the device
that was not made with `non_blocking=True`. `Pretend.waits` lists them; `Pretend.step()` is a block without.

The device has a random generator of its own, which `torch.manual_seed` seeds and which `torch.pretend` reads
and sets, so what draws on the device does not draw from the host's.

It does not have streams, events, pinned memory, compiled code or `torch.Generator` objects, and it shows
nothing of speed, of rounding or of the order in which a real device adds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "pretend"

ANSWERS = frozenset({
    "_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "masked_select", "bincount", "_unique2",
    "unique_dim", "unique_consecutive", "repeat_interleave",
})  # fmt: skip
"""Operations whose result, or its size, the host must know before it can continue."""

MOVES = frozenset({"_to_copy", "copy_", "_copy_from"})
"""Operations that may see tensors of two devices."""

STRICT = frozenset({
    "cat", "stack", "index_select", "gather", "scatter", "scatter_", "scatter_add_", "index_add_",
    "index_copy_", "embedding", "mm", "addmm", "bmm", "dot", "mv", "nll_loss_forward", "searchsorted",
})  # fmt: skip
"""Operations that take not even a single number of the host."""


_PRESENT: list[Pretend] = []


class _Module:
    """What torch finds as `torch.pretend`."""

    state = torch.Generator().manual_seed(0).get_state()

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return bool(_PRESENT)

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return len(_PRESENT[:1])

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        self.state = torch.Generator().manual_seed(seed).get_state()

    def get_rng_state(self, device: Any = None) -> Tensor:
        return self.state.clone()

    def set_rng_state(self, state: Tensor, device: Any = None) -> None:
        self.state = state.clone()


_MODULE = _Module()
backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_MODULE)

DEVICE = torch.device(NAME, 0)


class OnDevice(torch.Tensor):
    """A tensor of the device; `numbers` is what the device holds."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, numbers: Tensor, requires_grad: bool = False) -> OnDevice:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            layout=numbers.layout,
            device=DEVICE,
            requires_grad=requires_grad,
        )
        made.numbers = numbers
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def tolist(self) -> Any:
        _wait("tolist")
        return self.numbers.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError(f"can't convert a tensor of {NAME} to numpy: use Tensor.cpu() first")

    def __array__(self, *_: Any, **__: Any) -> Any:
        self.numpy()


class Pretend(TorchDispatchMode):
    """While it is entered the device is there.

    Args:
        float64: Whether the device has float64.

    Attributes:
        waits: What made the host wait since it was entered, in order.
    """

    def __init__(self, *, float64: bool = True) -> None:
        super().__init__()
        self.float64 = float64
        self.waits: list[str] = []

    def __enter__(self) -> Pretend:
        _PRESENT.append(self)
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _PRESENT.remove(self)
        super().__exit__(kind, error, trace)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    @contextmanager
    def step(self, waits: Iterable[str] = ()) -> Generator[None]:
        """A block that may wait for the device as often as it says, and no more."""
        before = len(self.waits)
        yield
        assert self.waits[before:] == list(waits), f"waited for the device: {self.waits[before:]}"


class _Within(TorchDispatchMode):
    """While an operation is taken apart, its parts are seen as well."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _wait(name: str) -> None:
    for device in _PRESENT:
        device.waits.append(name)


def _numbers(value: Any) -> Any:
    return value.numbers if isinstance(value, OnDevice) else value


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation on the numbers, as the device would: refused, noted, or neither."""
    name = func._schema.name.split("::")[1]
    # In inference mode torch leaves it to the device to take apart what is made of other operations.
    with _Within():
        found = func.decompose(*args, **kwargs)
    if found is not NotImplemented:
        return found
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    mine = [tensor for tensor in tensors if isinstance(tensor, OnDevice)]
    _refuse_mixing(name, mine, [tensor for tensor in tensors if not isinstance(tensor, OnDevice)])
    wanted = kwargs.get("device")
    there = bool(mine) if wanted is None else torch.device(wanted).type == NAME
    if name == "copy_":
        there = isinstance(args[0], OnDevice)
    for reason in _reasons_to_wait(name, args, kwargs, mine, there=there):
        _wait(reason)
    if wanted is not None:
        kwargs = {**kwargs, "device": "cpu"}
    if there:
        kwargs = {**kwargs, **({"pin_memory": False} if "pin_memory" in kwargs else {})}
    draws = there and torch.Tag.nondeterministic_seeded in func.tags
    found = (_drawing if draws else _plainly)(func, tree_map(_numbers, args), tree_map(_numbers, kwargs))
    # What was changed in place stays the same object.
    known = {id(tensor.numbers): tensor for tensor in mine}

    def placed(value: Any) -> Any:
        if not isinstance(value, Tensor) or not there:
            return known.get(id(value), value)
        _refuse_double(value)
        return known[id(value)] if id(value) in known else OnDevice(value)

    return tree_map(placed, found)


def _refuse_mixing(name: str, mine: list[OnDevice], hosts: list[Tensor]) -> None:
    apart = [tensor for tensor in hosts if tensor.dim() > 0 or name in STRICT]
    if mine and apart and name not in MOVES:
        raise RuntimeError(f"{name}: expected all tensors on one device, but found {DEVICE} and cpu")


def _refuse_double(value: Tensor) -> None:
    if value.dtype == torch.float64 and any(not device.float64 for device in _PRESENT):
        raise TypeError(f"cannot make a float64 tensor on {NAME}: this device has no float64")


def _reasons_to_wait(
    name: str, args: Any, kwargs: dict[str, Any], mine: list[OnDevice], *, there: bool
) -> list[str]:
    if name in MOVES:
        source = args[0] if name == "_to_copy" else args[0 if name == "_copy_from" else 1]
        if isinstance(source, OnDevice):
            return [] if there else ["to the host"]
        blocking = not (kwargs.get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2]))
        return ["to the device"] if there and blocking else []
    if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
        return ["index by a mask"] if _counts_a_mask(name, args) else []
    return [name] if mine and name in ANSWERS else []


def _counts_a_mask(name: str, args: Any) -> bool:
    """Whether the places of a mask must be counted; one number put at all of them needs no count."""
    masks = [index for index in args[1] if isinstance(index, OnDevice) and index.dtype == torch.bool]
    return bool(masks) and not (name != "index" and args[2].numel() == 1)


def _plainly(func: Any, args: Any, kwargs: Any) -> Any:
    return func(*args, **kwargs)


def _drawing(func: Any, args: Any, kwargs: Any) -> Any:
    """Run an operation that draws, from the device's generator."""
    outside = torch.get_rng_state()
    torch.set_rng_state(_MODULE.state)
    try:
        return func(*args, **kwargs)
    finally:
        _MODULE.state = torch.get_rng_state()
        torch.set_rng_state(outside)


# Where torch makes tensors from C++, no dispatch mode sees it.
_LIBRARY = torch.library.Library("aten", "IMPL", "PrivateUse1")


def _implement(name: str) -> Callable[[Callable[..., Any]], None]:
    return lambda function: _LIBRARY.impl(name, function)


@_implement("empty.memory_format")
def _empty(size: Any, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None,
           memory_format: Any = None) -> Tensor:  # fmt: skip
    return OnDevice(torch.empty(size, dtype=dtype))


@_implement("empty_strided")
def _empty_strided(size: Any, stride: Any, dtype: Any = None, layout: Any = None, device: Any = None,
                   pin_memory: Any = None) -> Tensor:  # fmt: skip
    return OnDevice(torch.empty_strided(size, stride, dtype=dtype))


@_implement("_copy_from")
def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    if not non_blocking or isinstance(source, OnDevice):
        _wait("to the device" if isinstance(target, OnDevice) else "to the host")
    _numbers(target).copy_(_numbers(source))
    return target
