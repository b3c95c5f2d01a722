"""What an ensemble's acquisition functions need, as sums over members: additive, streaming, resumable.

All four acquisition functions of Chitta et al. (2019, arXiv 1905.12737) follow from the sum of the members'
probabilities, the sum of their entropies, their votes and their errors. So members can be scored anywhere, in
any order and in any shards, and added up; nothing ever holds members x examples x classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headrace import checks
from headrace.arrays import WITHOUT_FLOAT64
from headrace.ensembles import storage
from headrace.ensembles._probabilities import (
    as_tensor,
    check_shape,
    checked,
    row_blocks,
    winners,
)
from headrace.ensembles.coverage import Coverage, Interval, missing
from headrace.ensembles.votes import Votes
from headrace.errors import DamagedError, InputError
from headrace.histories.arrays import as_device

Precision = Literal["auto", "float64", "float32"]
_SUMS = ("probability_sum", "entropy_sum", "members", "errors", "targeted")
FLOAT64_BYTES = 2 << 30
"""With `precision="auto"` the sum of probabilities is float64 while it takes at most this, else float32."""


class EnsembleStatistics:
    """Sums over the members of an ensemble, for every example; filled batch by batch, merged at will.

    Memory: examples x classes in 8 bytes (float64) or 4 (float32) for the sum of probabilities, and for the
    votes two bytes per member while members are far fewer than classes, else one byte per class (two above
    255 members). In float64 every acquisition function agrees with one computed from all members at once to
    1e-12. In float32 each addition rounds: with E members the mean probability is off by at most E x 6e-8 of
    itself. What does not fit at all goes through `headrace.ensembles.score_chunks`, which holds one chunk of
    examples at a time.

    Args:
        num_examples: The number of examples.
        num_classes: The number of classes; at least 2, or at least 1 with `multilabel`.
        multilabel: Each class is a yes-or-no question of its own (sigmoid outputs): rows need not sum to one,
            and entropy and mutual information are sums of the classes' own; there are no votes and no errors.
        votes: Keep votes. Without them there is no variation ratio, and adding takes about half the time.
        precision: `float64`, `float32`, or `auto`: float64 up to 2 GiB of sums.
        device: Where the sums are kept.

    Attributes:
        probability_sum: Sum over members of p [examples, classes].
        entropy_sum: Sum over members of H(p) in nats [examples], float64.
        members: How many members were added for each example [examples], int32.
        errors: How many of them voted for another class than the target [examples], int32.
        targeted: How many of them came with a target [examples], int32.

    Raises:
        InputError: Too few examples or classes, or a device without float64.
    """

    def __init__(
        self,
        num_examples: int,
        num_classes: int,
        *,
        multilabel: bool = False,
        votes: bool = True,
        precision: Precision = "auto",
        device: torch.device | str = "cpu",
    ) -> None:
        self.num_examples = num_examples = checks.whole(num_examples, "num_examples", least=1)
        least = 1 if checks.flag(multilabel, "multilabel") else 2
        self.num_classes = num_classes = checks.whole(num_classes, "num_classes", least=least)
        self.multilabel = multilabel
        place = as_device(device)
        if place.type in WITHOUT_FLOAT64:
            fix = "Leave device out: predictions are moved to the host as they are added."
            raise InputError(
                "the sums need float64, which this device lacks", where="device", got=str(place), fix=fix
            )
        self.probability_sum: Float[Tensor, "examples classes"] = torch.zeros(
            num_examples, num_classes, dtype=_sum_dtype(precision, num_examples * num_classes), device=place
        )
        self.entropy_sum: Float[Tensor, " examples"] = torch.zeros(
            num_examples, dtype=torch.float64, device=place
        )
        self.members, self.errors, self.targeted = (
            torch.zeros(num_examples, dtype=torch.int32, device=place) for _ in range(3)
        )
        votes = checks.flag(votes, "votes") and not multilabel
        self.votes = Votes(num_examples, num_classes, place) if votes else None
        self.coverage = Coverage()

    def add_member(
        self, start: int, probabilities: Any, targets: Any = None, *, member: str | None = None
    ) -> None:
        """Add one member's predictions for the examples from `start` on; all of them or, on error, none.

        Args:
            start: The index of the first example.
            probabilities: Softmax outputs (sigmoid outputs with `multilabel`) [batch, classes], a tensor or
                array of floating-point numbers; sums are taken in float64 (float32 with float32 sums). Rows
                whose sum rounding has moved by up to 0.01 (half precision, a few decimals) are divided by it,
                in what is added up. Not altered.
            targets: True classes [batch], integers; None if they are hidden. Then there is no error count.
            member: The member's name. A named member is counted once for each example: a second time is an
                error, and `missing(member)` says what is left to do after an interruption.

        Raises:
            InputError: NaN, outside 0..1, not summing to one, another number of classes, examples or targets
                out of range, or a named member that was counted before; names the member and the example.
        """
        where = "member" if member is None else f"member {member!r}"
        start = checks.whole(start, "start")
        values = as_tensor(probabilities).to(self.entropy_sum.device)
        check_shape(values, self.num_classes, where)
        interval = (start, start + len(values))
        self._check_interval(interval, member, where)
        classes = None if targets is None else self._check_targets(as_tensor(targets), interval, where)
        entropies, values = self._checked(values, start, where)
        self.entropy_sum[slice(*interval)] += entropies
        for rows in row_blocks(len(values), self.num_classes):
            self._add(start + rows.start, values[rows], None if classes is None else classes[rows])
        if member is not None:
            self.coverage.add(member, interval)

    def merge(self, other: EnsembleStatistics) -> EnsembleStatistics:
        """Add another's sums to these: of other members, of other examples, or both; returns self.

        Args:
            other: Statistics of the same examples, classes and kind; not altered.

        Raises:
            InputError: The two do not fit, or a named member was counted in both for the same example.
        """
        self._check_mergeable(other)
        if self.votes is not None and other.votes is not None:
            self.votes.merge(other.votes, self.members)
        for name in _SUMS:
            mine = getattr(self, name)
            # Blocks, so that another type or device costs no copy of everything.
            for rows in row_blocks(self.num_examples, mine[0].numel()):
                mine[rows] += getattr(other, name)[rows].to(mine)
        self.coverage.merge(other.coverage)
        return self

    def missing(self, member: str) -> tuple[Interval, ...]:
        """The intervals (start, stop) of examples that the named member was not counted for."""
        return missing(self.coverage.of(member), self.num_examples)

    def mean_blocks(self) -> Iterator[tuple[slice, Float[Tensor, "batch classes"]]]:
        """The members' mean probability in float64, for one slice of examples after the other.

        Raises:
            InputError: An example has no member's predictions.
        """
        self.check_complete()
        for rows in row_blocks(self.num_examples, self.num_classes):
            yield rows, self.probability_sum[rows].double() / self.members[rows, None]

    def check_complete(self) -> None:
        """Refuse to continue while an example has no member's predictions."""
        empty = int((self.members == 0).sum())
        if empty:
            first = int((self.members == 0).nonzero()[0, 0])
            raise InputError(
                f"{empty} of {self.num_examples} examples have no member's predictions",
                where=f"example {first}",
                fix="Add every shard before taking an acquisition function.",
            )

    def state_dict(self) -> dict[str, Any]:
        """Everything as plain data: numbers, the coverage, and tensors (not copies) under `tensors`."""
        tensors = {name: getattr(self, name) for name in _SUMS}
        if self.votes is not None:
            tensors |= self.votes.tensors()
        return {
            "version": 1,
            "num_examples": self.num_examples,
            "num_classes": self.num_classes,
            "multilabel": self.multilabel,
            "votes": self.votes is not None,
            "coverage": {
                name: [list(pair) for pair in pairs] for name, pairs in self.coverage.members.items()
            },
            "tensors": tensors,
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> EnsembleStatistics:
        """Statistics from what `state_dict` gave; its tensors are taken over, not copied.

        Raises:
            InputError: Another version, or parts that do not fit together.
        """
        checks.instance(state, Mapping, "state", "what state_dict() gave")
        if state.get("version") != 1:
            raise InputError(
                "unknown version of ensemble statistics", got=state.get("version"), fix="Expected 1."
            )
        storage.check(state)
        # Made for one example, then given the tensors: memory for the sums is taken once.
        made = cls(1, state["num_classes"], multilabel=state["multilabel"], votes=state["votes"])
        made.num_examples = state["num_examples"]
        for name in _SUMS:
            setattr(made, name, state["tensors"][name])
        if made.votes is not None:
            made.votes = Votes(made.num_examples, made.num_classes, made.entropy_sum.device)
            made.votes.take(state["tensors"])
        made.coverage = Coverage(state["coverage"])
        return made

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, whole or not at all, with a checksum over all of it.

        Raises:
            StorageError: The file cannot be written; a former one is kept.
        """
        storage.write(Path(path), self.state_dict())

    def content(self) -> bytes:
        """The content of the file that `save` writes."""
        return storage.content(self.state_dict())

    @classmethod
    def load(cls, path: str | Path) -> EnsembleStatistics:
        """Read what `save` wrote.

        Raises:
            InputError: The file is missing or does not hold statistics.
            DamagedError: The file was truncated or altered.
        """
        state = storage.read(Path(path))
        try:
            return cls.from_state_dict(state)
        except InputError as error:
            raise DamagedError(f"the file was altered: {error}", where=str(path)) from None

    def _checked(self, values: Tensor, start: int, where: str) -> tuple[Tensor, Tensor]:
        """The entropies of all rows, and the rows, repaired if need be; an error before anything is added."""
        result = torch.empty(len(values), dtype=torch.float64, device=values.device)
        dtype, whole = self.probability_sum.dtype, values
        for rows in row_blocks(len(values), self.num_classes):
            found = checked(
                values[rows], dtype, first=start + rows.start, where=where, multilabel=self.multilabel
            )
            result[rows] = found.entropies
            if found.repaired is not None:
                whole = whole.to(dtype, copy=True) if whole is values else whole
                whole[rows] = found.repaired
        return result, whole

    def _add(self, start: int, values: Tensor, targets: Tensor | None) -> None:
        """Add checked rows: all but their entropies."""
        rows = slice(start, start + len(values))
        self.probability_sum[rows] += values
        if self.votes is not None:
            self.votes.add(start, values, self.members[rows])
        if targets is not None:
            self.errors[rows] += winners(values) != targets.to(values.device)
            self.targeted[rows] += 1
        self.members[rows] += 1

    def _check_interval(self, interval: Interval, member: str | None, where: str) -> None:
        start, stop = interval
        if start < 0 or stop > self.num_examples:
            raise InputError(
                f"the examples must be within 0..{self.num_examples - 1}",
                where=where,
                got=f"examples {start}..{stop - 1}",
            )
        known = Coverage({member: self.coverage.of(member)}) if member is not None else Coverage()
        twice = known.clash(Coverage({member: [interval]})) if member is not None else None
        if twice:
            _raise_twice(*twice)

    def _check_targets(
        self, targets: Int[Tensor, " batch"], interval: Interval, where: str
    ) -> Int[Tensor, " batch"]:
        if self.multilabel:
            raise InputError("multilabel statistics count no errors: targets have no effect", where=where)
        if targets.is_floating_point() or targets.shape != (interval[1] - interval[0],):
            raise InputError(
                f"targets must be {interval[1] - interval[0]} integer classes, one for each row",
                where=where,
                got=f"{targets.dtype} {tuple(targets.shape)}",
                fix="Convert them to integers; of one-hot targets use argmax(1), of a column [:, 0].",
            )
        targets = targets.long()
        bad = ((targets < 0) | (targets >= self.num_classes)).nonzero()
        if len(bad):
            row = int(bad[0, 0])
            raise InputError(
                f"a target must be within 0..{self.num_classes - 1}",
                where=f"{where}, example {interval[0] + row}",
                got=int(targets[row]),
                fix="Leave targets out if labels are hidden.",
            )
        return targets

    def _check_mergeable(self, other: EnsembleStatistics) -> None:
        checks.instance(other, EnsembleStatistics, "other", "statistics of an ensemble")
        for name in ("num_examples", "num_classes", "multilabel"):
            if getattr(self, name) != getattr(other, name):
                raise InputError(
                    f"statistics can be merged only with the same {name} ({getattr(self, name)})",
                    where="merge",
                    got=getattr(other, name),
                )
        if (self.votes is None) != (other.votes is None):
            raise InputError("one of the statistics keeps votes and the other does not", where="merge")
        twice = self.coverage.clash(other.coverage)
        if twice:
            _raise_twice(*twice)


def _raise_twice(member: str, interval: Interval) -> None:
    raise InputError(
        "this member was counted for these examples before",
        where=f"member {member!r}",
        got=f"examples {interval[0]}..{interval[1] - 1}",
        fix="Add each member once for each example; `missing(member)` says what is left.",
    )


def _sum_dtype(precision: Precision, elements: int) -> torch.dtype:
    kinds = {"float64": torch.float64, "float32": torch.float32}
    if checks.choice(precision, "precision", [*kinds, "auto"]) == "auto":
        return torch.float64 if elements * 8 <= FLOAT64_BYTES else torch.float32
    return kinds[precision]
