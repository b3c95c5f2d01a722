"""`SharedHistory`: a history that the ranks of a data-parallel run keep together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from headrace.errors import InputError
from headrace.histories.storage import description

if TYPE_CHECKING:
    from headrace.histories.history import History, LossHistory

CHUNK = 1 << 20
"""Rows that travel at a time, so that a merge needs little memory besides the history."""


class SharedHistory:
    """Merges what every rank has recorded, again and again, and counts nothing twice.

    Each rank records what it forwards in a history of its own; `merge` makes all of them the same, to the
    bit: the base that the ranks had in common, and on top of it what each has recorded since then.

        history = History(len(train), device=device)
        shared = SharedHistory(history)     # once, on every rank
        for each epoch:
            ...                             # history.record(...) of this rank's part of each batch
            shared.merge()                  # on every rank

    Without `torch.distributed`, or with one rank, nothing is sent and the history is as it is. Beside the
    history a rank holds its share of the common base: one copy over all ranks together.

    Args:
        history: This rank's; empty, or the same on every rank (one that was saved after a merge).
        group: The process group; None for the default one.

    Raises:
        InputError: The ranks' histories differ in form, data set or content.
    """

    def __init__(self, history: History | LossHistory, *, group: dist.ProcessGroup | None = None) -> None:
        self.history = history
        self._group = group
        there = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank(group) if there else 0
        self.ranks = dist.get_world_size(group) if there else 1
        self._base: list[Tensor] = []
        if self.ranks > 1:
            self._device = meeting_place(history.device, group)
            self._agree(with_content=True)
            self._base = [self._padded(rows)[self.rank].clone() for rows in self._chunks()]

    def merge(self) -> None:
        """Make every rank's history the one that holds what all have recorded; a collective call.

        An example that one rank alone has recorded since the last merge has the row that this rank gave it:
        as in one process, transitions and all. For others counts, means and variances are those of one
        process except for rounding; windows, fading and last values are those of the ranks one after another;
        and transitions between the observations of two ranks are not counted.

        Raises:
            InputError: The ranks' histories differ in form or data set, or a rank recorded indices out of
                range. It is raised on every rank, and all histories are left as they were.
        """
        if self.ranks == 1:
            self.history.check()
            return
        classes = self._agree(with_content=False)
        for place, rows in enumerate(self._chunks()):
            sent = self._padded(rows)
            received = torch.empty_like(sent)
            dist.all_to_all_single(received, sent, group=self._group)
            mine = self.history.table.united(self._base[place], received)
            dist.all_gather(list(sent), mine, group=self._group)
            rows.copy_(sent.flatten(0, 1)[: len(rows)])
            self._base[place] = mine
        self.history.num_classes = classes if classes else None

    def state_dict(self) -> dict[str, Any]:
        """This rank's history and its share of the common base: what resumes exactly, also between merges."""
        base = [share.cpu() for share in self._base]
        return {"rank": self.rank, "ranks": self.ranks, "history": self.history.state_dict(), "base": base}

    def load_state_dict(self, state: Mapping[str, Any], *others: Mapping[str, Any]) -> None:
        """Resume from what `state_dict` gave: on the same number of ranks from this rank's own state.

        Args:
            state: This rank's; on another number of ranks that of the first of those that saved.
            others: On another number of ranks all others that saved, in their order. The histories are
                merged, so the state must be that of a moment at which a merge does not matter.

        Raises:
            InputError: Not such states, another rank's, or not those of all ranks.
        """
        states = (state, *others)
        told = [(each.get("rank"), each.get("ranks")) for each in states]
        if told == [(self.rank, self.ranks)]:
            self.history.load_state_dict(state["history"])
            self._base = [share.to(self._device) for share in state["base"]] if self.ranks > 1 else []
            return
        if told != [(rank, len(states)) for rank in range(len(states))]:
            raise InputError(
                "must be the state of this rank, or those of all ranks that saved one, in their order",
                where="SharedHistory.load_state_dict",
                got=told,
            )
        self.history.load_state_dict(states[0]["history"])
        # A rank that recorded nothing knows of no classes.
        classes = [each["history"].get("num_classes") for each in states]
        self.history.num_classes = next((known for known in classes if known is not None), None)
        if len(states) > 1:
            tables = [each["history"]["table"].split(CHUNK) for each in states]
            for place, rows in enumerate(self._chunks()):
                base = torch.cat([each["base"][place] for each in states])[: len(rows)].to(rows.device)
                parts = torch.stack([table[place].to(rows.device) for table in tables])
                rows.copy_(self.history.table.united(base, parts))
        if self.ranks > 1:
            self._base = [self._padded(rows)[self.rank].clone() for rows in self._chunks()]

    def _chunks(self) -> tuple[Tensor, ...]:
        return self.history.table.tensor.split(CHUNK)

    def _padded(self, rows: Float[Tensor, "rows columns"]) -> Float[Tensor, "ranks share columns"]:
        """A copy of the rows in equal shares, one for each rank; rows of zeros at the end."""
        share = -(-len(rows) // self.ranks)
        padded = torch.zeros((self.ranks * share, rows.shape[1]), device=self._device)
        padded[: len(rows)] = rows
        return padded.view(self.ranks, share, -1)

    def _agree(self, *, with_content: bool) -> int:
        """The number of classes, 0 where no rank knows it; raises on every rank where the ranks differ."""
        error: InputError | None = None
        try:
            self.history.check()
        except InputError as found:
            error = found
        mine = {"error": int(error is not None), **_identity(self.history)}
        if with_content:
            mine["content"] = _number(self.history.table.tensor.cpu().numpy().tobytes())
        told = torch.tensor([*mine.values()], dtype=torch.int64, device=self._device)
        gathered = [torch.empty_like(told) for _ in range(self.ranks)]
        dist.all_gather(gathered, told, group=self._group)
        if error is not None:
            raise error
        others = [dict(zip(mine, row.tolist(), strict=True)) for row in gathered]
        _check_alike(mine, others)
        return max(other["num_classes"] for other in others)


_OPTIONAL = ("num_classes", "fingerprint")
"""What a rank may not know; 0 then."""


def _identity(history: History | LossHistory) -> dict[str, int]:
    """What must be alike on all ranks, as numbers that any backend can send."""
    return {
        name: 0 if value is None and name in _OPTIONAL else _plain(value)
        for name, value in description(history).items()
    }


def _plain(value: object) -> int:
    return value if isinstance(value, int) else _number(json.dumps(value).encode())


def _number(content: bytes) -> int:
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "little", signed=True)


def _check_alike(mine: dict[str, int], others: list[dict[str, int]]) -> None:
    failed = [str(rank) for rank, other in enumerate(others) if other["error"]]
    if failed:
        raise InputError(
            f"rank {', '.join(failed)} has recorded what cannot be right; see its own error",
            where="SharedHistory",
        )
    for name, value in mine.items():
        unlike = [
            str(rank)
            for rank, other in enumerate(others)
            if other[name] != value and not (name in _OPTIONAL and 0 in (value, other[name]))
        ]
        if unlike:
            raise InputError(
                f"the ranks' histories differ in their {name}, here and on rank {', '.join(unlike)}",
                where="SharedHistory",
                fix="Every rank begins with an empty history of the same form, or loads the same file."
                if name == "content"
                else "Make the same history of the same data set on every rank.",
            )


def meeting_place(device: torch.device, group: dist.ProcessGroup | None) -> torch.device:
    """Where the ranks exchange tensors: the history's device, or the CPU where gloo alone connects them."""
    backends = dict(pair.split(":") for pair in dist.get_backend_config(group).split(","))
    if device.type in backends and (device.type == "cpu" or backends[device.type] != "gloo"):
        return device
    if backends.get("cpu", "nccl") != "nccl":
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())
