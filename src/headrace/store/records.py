"""Facts about trials and studies, as frozen records that cannot be wrong."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field, model_validator

from headrace.records import GrownRecord
from headrace.specs.studies import Hyperparameters


class Status(StrEnum):
    """How a trial ended."""

    COMPLETE = "COMPLETE"
    """Reached the goal, or trained to the end of its budget."""
    INFEASIBLE = "INFEASIBLE"
    """Diverged: the loss was not finite, or exploded."""
    STOPPED = "STOPPED"
    """Could no longer change the result."""
    FAILED = "FAILED"
    """Raised an error."""


class Outcome(GrownRecord):
    """When, in steps, a trial reached the goal or diverged, and how far it was trained.

    `reached` and `diverged` are evaluated steps; at most one of them is given up to the point of
    decision. A trial that diverges after it has reached the goal (possible with `stop = "budget"`)
    has both. Of a trial that raised an error, `trained` is the evaluated step that it did not get to.
    """

    trial: int = Field(ge=0)
    reached: int | None = Field(default=None, ge=0)
    diverged: int | None = Field(default=None, ge=0)
    trained: int = Field(ge=0)
    failed: bool = False

    @property
    def settled(self) -> bool:
        """Whether nothing is left to train: the trial reached the goal, diverged, or raised an error."""
        return self.failed or self.reached is not None or self.diverged is not None

    @model_validator(mode="after")
    def _in_order(self) -> Outcome:
        for step in (self.reached, self.diverged):
            if step is not None and step > self.trained:
                raise ValueError(
                    f"a trial trained for {self.trained} steps cannot have an event at step {step}"
                )
        if self.reached is not None and self.diverged is not None and self.diverged <= self.reached:
            raise ValueError("a trial that has diverged cannot reach the goal")
        return self


class TrialRecord(Outcome):
    """One training run as it was measured, with all that is needed to run it again.

    `examples_forwarded` counts selection passes, candidates, and what the policy trained beforehand;
    `examples_backpropagated` what was trained on, beforehand too. `experiment` and `fingerprint` are the
    digests of its experiment and of the workload that it was trained on; None in records of older versions.
    `pack` is how many trials were trained as one, of which this was one; 1 if it was trained by itself.
    """

    later: ClassVar[frozenset[str]] = frozenset({"pack"})

    study: str
    hyperparameters: Hyperparameters
    examples_forwarded: int = Field(ge=0)
    examples_backpropagated: int = Field(ge=0)
    seconds: float = Field(ge=0)
    error: str | None = None
    experiment: str | None = None
    fingerprint: str | None = None
    pack: int = Field(default=1, ge=1)
