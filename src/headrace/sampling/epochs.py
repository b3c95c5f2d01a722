"""Which epoch it is, its plan, and how far it came: what a sampler keeps from one walk to the next."""

from __future__ import annotations

from jaxtyping import Float, Int64
from torch import Tensor

from headrace.sampling.course import Course, Place
from headrace.sampling.loaders import Caller
from headrace.sampling.pieces import Piece
from headrace.sampling.plan import Plan
from headrace.sampling.planning import Planning
from headrace.sampling.resuming import Saved, check_epoch_said, check_same_plan, check_within
from headrace.sampling.weights import WeightsOf


class Epochs:
    """The epochs one after the other.

    Args:
        planning: Makes their plans.

    Attributes:
        number: The epoch that is walked, or was walked last.
        course: How far it came.
    """

    def __init__(self, planning: Planning) -> None:
        self._planning = planning
        self.number = 0
        self.course = Course()
        self._rests = 0
        self._said: int | None = None
        self._planned_before: int | None = None
        self._weights: WeightsOf | None = None

    @property
    def next(self) -> int:
        """The epoch that the next walk is of."""
        return self.number + (self.course.over and not self._rests)

    def set(self, epoch: int) -> None:
        """Let the next walk be of this epoch; in the middle of it, its rest.

        One that was over when it was resumed has an empty rest, which is walked once if its number is set.
        """
        self._said = epoch
        if epoch == self.number and self.course.ended_before:
            self._rests = 1
        elif epoch != self.next:
            self.go_to(epoch)
        else:
            self.course.begin_anew()

    def go_to(self, epoch: int, place: Place | None = None) -> None:
        """Go to a place in an epoch, by default its beginning."""
        self.number, self.course = epoch, Course(place)
        self._rests, self._planned_before = 0, None

    def resume(self, saved: Saved, by: Caller | None = None) -> None:
        """Go where a state was saved.

        Args:
            saved: Where.
            by: A loader that keeps the state itself: it resumes when it is walked, and so after the loop has
                set the number of the epoch; one that was saved after its end then walks twice.

        Raises:
            InputError: The loop has set another epoch than that of the state.
        """
        said = self._said if by is not None and by.loader else None
        if said is not None:
            check_epoch_said(said, saved)
        self.go_to(saved.epoch, saved.place)
        self._planned_before = saved.plan
        if by is not None and saved.place.finished and said == saved.epoch:
            self._rests = 2 if by.ended else 1

    def begin(self) -> Plan:
        """The plan of the epoch that a new walk is of; goes to the next epoch if this one is over."""
        if self.next != self.number:
            self.go_to(self.next)
        plan = self.plan()
        self._rests = max(0, self._rests - 1)
        # Kept for a loader that walks first and then resumes.
        self._said = self._said if self._said == self.number else None
        return plan

    def plan(self) -> Plan:
        """The current epoch's plan; a resumed one must be what it was.

        Raises:
            InputError: It is another one.
        """
        plan = self._planning.plan(self.number)
        if self._planned_before is not None:
            check_same_plan(self._planned_before, self._planning.checksum(self.number))
            self._planned_before = None
        check_within(self.course.start, len(plan.indices))
        return plan

    def weights_of(self, indices: Int64[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """What examples weigh in the current epoch."""
        plan = self.plan()
        if self._weights is None or self._weights.plan is not plan:
            self._weights = WeightsOf(plan)
        return self._weights(indices)

    def heard(self, indices: Int64[Tensor, " batch"]) -> None:
        """Note what a history records."""
        self.course.see(indices.long(), "recorded")

    def take(self, examples: int) -> tuple[list[Piece], int]:
        """The next stretch of the epochs joined end to end, without a walk, and the epoch where it begins.

        Args:
            examples: How many; as many times the candidates of the plan where it begins.
        """
        place = self.course.now(None, Caller())
        if self.course.walked:
            self.go_to(self.number, place)
        plan, position = self._step_into(place.position)
        first, size = self.number, examples * plan.candidates
        pieces = [Piece(plan, position, min(position + size, len(plan.indices)))]
        while (missing := size - sum(map(len, pieces))) > 0:
            plan, position = self._step_into(pieces[-1].stop)
            pieces.append(Piece(plan, position, min(position + missing, len(plan.indices))))
        end = pieces[-1].stop
        self.course = Course(Place(position=end, cut=end, finished=end >= len(plan.indices)))
        return pieces, first

    def _step_into(self, position: int) -> tuple[Plan, int]:
        """The current epoch's plan, or the next one's from its beginning if the current one is used up."""
        plan = self.plan()
        if position < len(plan.indices):
            return plan, position
        self.go_to(self.number + 1)
        return self.plan(), 0
