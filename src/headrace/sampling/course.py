"""Where an epoch is: what was handed out, what arrived in the training loop, and where a new walk begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from headrace.checks import whole
from headrace.errors import InputError
from headrace.sampling.arrivals import Arrivals
from headrace.sampling.loaders import Caller
from headrace.sampling.walks import Walk

_WAITING = 1 << 22
"""Indices on a device that are kept until they are read: 32 MB."""

_KEPT = 4
"""Walks of an epoch that are remembered, besides the one that is trained on."""

_UNTOLD = (
    "Show each batch to the sampler (weights_for, narrow, or record of its history), or say how many items "
    "of this epoch were trained on: sampler.state_dict(done=...)."
)

Seen = Literal["shown", "recorded"]
"""How indices arrived: by `weights_for` and `narrow`, which expect a batch; or by a history's `record`."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place in an epoch.

    Attributes:
        position: Positions of the plan that all ranks are past.
        items: This rank's items (batches or single examples) before it, from the beginning of the epoch.
        cut: The position from which batches are cut.
        finished: Whether it is the end of the epoch.
    """

    position: int = 0
    items: int = 0
    cut: int = 0
    finished: bool = False


class _Walked:
    """A walk, who walks it, whether `set_epoch` announced it, and what of it arrived."""

    def __init__(self, walk: Walk, by: Caller, *, said: bool) -> None:
        self.walk = walk
        self.by = by
        self.said = said
        self.shown = Arrivals(walk)
        self.recorded = Arrivals(walk)
        self.doubtful = False

    @property
    def untouched(self) -> bool:
        return self.walk.given == 0

    @property
    def over(self) -> bool:
        """Whether all was handed out."""
        return self.walk.given >= self.walk.size

    def place(self, items: int) -> Place:
        """The place after this many items of the walk."""
        position = self.walk.reached(items)
        return Place(
            position=position,
            items=self.walk.before + items,
            cut=self.walk.cut,
            finished=items >= self.walk.size and position >= self.walk.end,
        )


class Course:
    """The walks of one epoch, and how far they came.

    Args:
        place: Where the epoch is at first.
    """

    def __init__(self, place: Place | None = None) -> None:
        self._place = Place() if place is None else place
        self._walks: list[_Walked] = []
        self._current: _Walked | None = None
        self._waiting: list[tuple[Seen, Tensor]] = []
        self._held = 0
        self._said = False

    def begin(self, walk: Walk, by: Caller) -> None:
        """Note a walk that begins."""
        # A loader with workers calls iter() twice before it takes anything.
        said = self._said or (self.fresh and self._walks[-1].said)
        latest = self._walks[-_KEPT:]
        kept = [walked for walked in self._walks if walked is self._current or walked in latest]
        self._walks = [*kept, _Walked(walk, by, said=said)]
        self._said = False

    @property
    def start(self) -> Place:
        """Where walks begin: the place at which this process came into the epoch."""
        return self._place

    @property
    def ended_before(self) -> bool:
        """Whether the epoch was over when this process came into it, and was not walked since."""
        return self._place.finished and not self._walks

    def begin_anew(self) -> None:
        """Let the next walk begin the epoch anew, even if one was left before its end."""
        self._said = True

    @property
    def walked(self) -> bool:
        """Whether a walk was begun."""
        return bool(self._walks)

    @property
    def fresh(self) -> bool:
        """Whether the latest walk was begun and nothing of it taken."""
        return bool(self._walks) and self._walks[-1].untouched and not self._walks[-1].walk.walked

    @property
    def over(self) -> bool:
        """Whether the epoch is over: all of it arrived, or was handed out."""
        self._look()
        if not self._walks:
            return self._place.finished
        walked = self._current or self._walks[-1]
        # A loader with workers calls iter() twice before it takes anything, even if there is nothing.
        return walked.over and (walked.walk.size > 0 or walked.walk.walked)

    def see(self, indices: Tensor, how: Seen) -> None:
        """Note indices (int64) that arrived; those on a device are read later, without waiting."""
        # What is recorded matters only if nothing is shown.
        if not self._walks or not len(indices) or (how == "recorded" and self._current is not None):
            return
        if indices.device.type != "cpu" or self._waiting:
            self._waiting.append((how, indices.detach().clone()))
            self._held += len(indices)
            if self._held > _WAITING:
                self._look()
            return
        self._note(indices.detach().numpy(), how)

    def now(self, done: int | None, asked_by: Caller) -> Place:
        """The place to resume from.

        Args:
            done: How many items of the epoch this rank has trained on, or None if the sampler saw them.
            asked_by: Who asks. A loader that keeps the state itself means what it was handed.

        Raises:
            InputError: `done` is out of its range or contradicts what arrived; or it is needed.
        """
        self._look()
        if not self._walks:
            return self._checked(done, self._place.items, self._place.items) or self._place
        walked = self._current or self._walks[-1]
        before, given = walked.walk.before, walked.walk.given
        if asked_by.loader:
            return self._walks[-1].place(self._walks[-1].walk.given)
        if walked.shown.any:
            self._checked(done, before + walked.shown.items, before + walked.shown.items)
            return walked.place(walked.shown.items)
        if done is not None:
            self._checked(done, before, before + given)
            return walked.place(done - before)
        if not walked.by.ahead or given == 0:
            return walked.place(given)
        if walked.recorded.any and not walked.doubtful:
            return walked.place(walked.recorded.items)
        raise InputError(
            f"the loader has fetched {before + given} {walked.walk.word} of the epoch ahead of the loop, and "
            "the sampler cannot see how many were trained on",
            where="ExampleSampler.state_dict",
            fix=_UNTOLD,
        )

    def _checked(self, done: int | None, least: int, most: int) -> None:
        if done is None:
            return
        done = whole(done, "done", least=0)
        if least <= done <= most:
            return
        seen = f"{least}" if least == most else f"from {least} to {most}"
        raise InputError(
            f"this rank has trained on {seen} batches (or single examples) since the epoch's beginning",
            where="done",
            got=done,
            fix="Count from the beginning of the epoch, also after a resume; or leave done out.",
        )

    def _look(self) -> None:
        """Read what arrived on a device; waits for it."""
        waiting, self._waiting, self._held = self._waiting, [], 0
        if not waiting:
            return
        device = waiting[0][1].device
        host = torch.cat([indices.to(device, torch.int64) for _, indices in waiting]).cpu()
        for (how, _), indices in zip(waiting, host.split([len(i) for _, i in waiting]), strict=True):
            self._note(indices.numpy(), how)

    def _note(self, arrived: np.ndarray, how: Seen) -> None:
        """Count what arrived for the walk that is trained on, or for one that began later."""
        for walked in reversed(self._walks):
            if getattr(walked, how).take(arrived):
                if how == "shown":
                    self._settle_on(walked)
                return
            if walked is self._current:
                break
        latest: Any = self._current or self._walks[-1]
        if getattr(latest, how).again(arrived):
            self._check_alone(latest)
        elif how == "recorded":
            latest.doubtful = True
        elif self._came_from(latest, len(arrived)):
            raise latest.shown.explain(arrived)

    def _came_from(self, walked: _Walked, count: int) -> bool:
        """Whether that many indices can have come from a walk; otherwise somebody looks up weights."""
        if count > walked.walk.reached(walked.walk.given) - walked.walk.start:
            return False
        return walked.shown.any or walked.by.loader or not walked.over

    def _settle_on(self, walked: _Walked) -> None:
        """Take the walk that is trained on; to leave one of a loader before its end takes `set_epoch`."""
        last, self._current = self._current, walked
        if last in (None, walked) or last.shown.complete or not last.by.loader or walked.said:
            return
        walk, items = last.walk, last.shown.items
        raise InputError(
            f"{walk.before + items} of the epoch's {walk.before + walk.size} {walk.word} arrived, and then "
            "those of a new walk through it",
            where="ExampleSampler",
            fix="Show every batch to the sampler; and before an epoch that follows one that ended early call "
            "sampler.set_epoch: with the next number, or with the same one to begin this epoch anew.",
        )

    def _check_alone(self, walked: _Walked) -> None:
        """`InputError` if what looks like a second look is another walk that runs at the same time."""
        given = walked.walk.given
        beside = any(other.walk.given == given for other in self._walks if other is not walked)
        if beside and 2 <= given < walked.walk.size:
            raise InputError(
                "two loops train on one sampler at the same time, and each example is trained on twice",
                where="ExampleSampler",
                fix="Give each loop a sampler of its own.",
            )
