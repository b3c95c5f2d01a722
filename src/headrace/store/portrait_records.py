"""What a portrait holds besides the table of all examples, as frozen records."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from headrace.records import Record
from headrace.specs.studies import Hyperparameters, StudyKey


class Fed(Record):
    """What one epoch trained on.

    With w the sum of the loss weights of an example's draws in the epoch, 0 where it was not drawn, over the
    N examples of the training set:

    Attributes:
        epoch: From 0.
        draws: Examples trained on, repetitions counted.
        effective: The effective sample size (sum w)^2 / sum w^2, as a share of N; 1 if all count the same.
        unseen: The share of the training set without weight in this epoch.
        never_seen: The share without weight in this epoch and in all before it.
    """

    epoch: int = Field(ge=0)
    draws: int = Field(ge=0)
    effective: float
    unseen: float
    never_seen: float


class ShownExample(Record):
    """One example that a reader sees.

    Attributes:
        example: Its index in the training set.
        id: What it is called, if that is not its index.
        score: The number by which it was chosen to be shown.
        label: Its label as it was given, in words.
        predicted: The label that the model predicted most often lately, in words.
        clean: The right label if it is known, in words.
        png: A picture, as a PNG file in base 64.
        text: A text.
    """

    example: int = Field(ge=0)
    id: int | str | None = None
    score: float | None = None
    label: str | None = None
    predicted: str | None = None
    clean: str | None = None
    png: str | None = None
    text: str | None = None


class ShownGroup(Record):
    """Examples that are shown together, in order.

    Attributes:
        name: Why; the report has the words.
        exhibits: The examples.
    """

    name: str
    exhibits: tuple[ShownExample, ...]


class ExamplesShown(Record):
    """All groups of examples to be shown.

    Attributes:
        walls: The groups, in order.
        unshown: Why examples are named by their numbers only, or None.
    """

    walls: tuple[ShownGroup, ...] = ()
    unshown: str | None = None


class Portrait(Record):
    """A portrait: how it was made, what was fed, and the examples to be shown.

    Attributes:
        study: The study.
        trial: Its best trial.
        hyperparameters: That trial's.
        goal_step: The step at which it had reached the goal.
        asked_steps: How far it should be trained.
        steps: How far it was trained; less if it diverged after the goal.
        examples_forwarded: What it took, as in a trial's record.
        examples_backpropagated: What it took, as in a trial's record.
        seconds: How long.
        kind: "predictions", or "losses" if the targets are not classes.
        fed: Every whole epoch.
        gallery: The examples to be shown.
        error: Why there is no portrait, or None.
    """

    format: Literal[1] = 1
    study: StudyKey
    trial: int = Field(ge=0)
    hyperparameters: Hyperparameters = Field(default_factory=dict)
    goal_step: int = Field(ge=0)
    asked_steps: int = Field(ge=1)
    steps: int = Field(default=0, ge=0)
    examples_forwarded: int = Field(default=0, ge=0)
    examples_backpropagated: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)
    kind: Literal["predictions", "losses"] = "predictions"
    fed: tuple[Fed, ...] = ()
    gallery: ExamplesShown = ExamplesShown()
    error: str | None = None
