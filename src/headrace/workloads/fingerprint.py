"""What a workload is, as frozen data: two workloads are compared part by part.

Data, code and settings are known by checksums, to the byte. What a model computes differs in its last digits
between processors, so it is known by a few numbers that are compared with a tolerance. Imports no torch;
`headrace.workloads.identity` takes the fingerprint of a loaded workload.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

PARAMETERS_TOLERANCE = 1e-4
"""Initial parameters come from one random stream and simple arithmetic."""
INPUTS_TOLERANCE = 1e-3
"""Inputs are transformed by simple arithmetic, and a step is compared on one kind of machine alone."""
OUTPUTS_TOLERANCE = 1e-2
"""Outputs of a CPU and of a GPU that rounds products to 10 bits (TF32) differ by some thousandths."""
_STEP = (
    ("inputs", PARAMETERS_TOLERANCE, "the training inputs as they are trained on (train_transform)"),
    ("outputs", INPUTS_TOLERANCE, "the untrained model's outputs in training (dropout, normalization)"),
)
_STEP_BY_NAME = (
    ("buffers", "what a step of training leaves in the model's buffers (normalization)"),
    ("gradients", "the gradients of a step of training (loss, frozen parameters)"),
)
_NAMED = (("goal", "the goal"), ("metric_name", "the metric's name"), ("mean_over", "what a mean is over"))


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Split(_Record):
    """The examples of a split, before any transform.

    Attributes:
        examples: How many there are.
        hashed: How many of them are in the checksum, spread evenly: all if they are stored in tensors.
        inputs: SHA-256 of their inputs.
        targets: SHA-256 of their targets; None if these are hidden, and then they count in no comparison.
    """

    examples: int = Field(ge=1)
    hashed: int = Field(ge=1)
    inputs: str
    targets: str | None

    def same(self, other: Split) -> bool:
        """Whether both are the same examples, as far as is known."""
        shown = None not in (self.targets, other.targets)
        return self.inputs == other.inputs and (not shown or self.targets == other.targets)


class Numbers(_Record):
    """A tensor by its shape and three numbers that hardly two tensors share.

    Attributes:
        shape: Its shape.
        mean: The mean of its values.
        size: The root of the mean of their squares.
        wave: The mean of their products with a cosine over their places: another order gives another one.
    """

    shape: tuple[int, ...]
    mean: float | None
    size: float | None
    wave: float | None

    def near(self, other: Numbers, tolerance: float) -> bool:
        """Whether both are the same tensor as far as the tolerance, relative to their size, allows."""
        if self.shape != other.shape:
            return False
        scale = max(self.size or 0.0, other.size or 0.0, 1e-6)
        return all(
            mine == theirs
            or (
                mine is not None
                and theirs is not None
                and math.isclose(mine, theirs, abs_tol=tolerance * scale)
            )
            for mine, theirs in ((self.mean, other.mean), (self.size, other.size), (self.wave, other.wave))
        )


class Measured(_Record):
    """The loss and the metric of made-up outputs.

    Attributes:
        loss: Of the loss for each example.
        metric: Of the metric for each example.
    """

    loss: tuple[Numbers, ...]
    metric: tuple[Numbers, ...]


class Step(_Record):
    """What a step of training computes on a fixed stream, where random numbers and roundings are the same.

    Attributes:
        machine: The kind of processor, or the accelerator; steps of two machines are not compared.
        inputs: Some training inputs, as they are trained on.
        outputs: The untrained model's outputs on these, in training mode.
        buffers: The model's buffers after it.
        gradients: Parameter -> its gradient, or None if it has none; empty if targets are hidden.
    """

    machine: str
    inputs: tuple[Numbers, ...]
    outputs: tuple[Numbers, ...]
    buffers: dict[str, Numbers]
    gradients: dict[str, Numbers | None]

    def differences(self, now: Step) -> Iterator[str]:
        """The first that is different in `now`, in words; nothing if it cannot be compared."""
        if self.machine != now.machine:
            return
        for name, tolerance, words in _STEP:
            if not _near(getattr(self, name), getattr(now, name), tolerance):
                yield words
                return
        for name, words in _STEP_BY_NAME:
            mine, theirs = getattr(self, name), getattr(now, name)
            if mine and theirs and not _same(mine, theirs):
                yield words
                return


class Fingerprint(_Record):
    """Everything that a trial depends on besides the experiment's own file.

    Attributes:
        train: The training split.
        validation: The validation split.
        test: The test split, if there is one.
        clean_targets: SHA-256 of the targets before `label_noise`, if there are any.
        parameters: The untrained model's parameters and buffers, by name, made on a fixed stream.
        inputs: Some training inputs as a model gets them in an evaluation.
        outputs: The untrained model's outputs on some validation examples.
        loss: The loss of these.
        metric: The metric of these.
        made_up: The loss and the metric of made-up outputs, if they take these.
        step: A step of training, if it can be repeated.
        metric_name: What the metric is called.
        goal: The goal.
        mean_over: "examples", or "targets" if an example weighs as much as it has targets.
        settings: `[workload.settings]` of the experiment file.
        sources: File of the user's -> a digest of its code, see `headrace.workloads.sources`.
        versions: Of headrace and torch.
    """

    format: Literal[1] = 1
    train: Split
    validation: Split
    test: Split | None = None
    clean_targets: str | None = None
    parameters: dict[str, Numbers]
    inputs: tuple[Numbers, ...]
    outputs: tuple[Numbers, ...]
    loss: tuple[Numbers, ...]
    metric: tuple[Numbers, ...]
    made_up: Measured | None = None
    step: Step | None = None
    metric_name: str
    goal: float
    mean_over: str = "examples"
    settings: dict[str, Any] = Field(default_factory=dict)
    sources: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that identify this very fingerprint, for the record of each trial."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def differences(self, now: Fingerprint, *, versions: bool = True) -> list[str]:
        """What is different in `now`, in words, one text for each part; empty if it is the same workload.

        Args:
            now: Another fingerprint.
            versions: Whether versions of headrace and torch count: not if nothing is left to train.
        """
        return [
            *_splits(self, now),
            *_plain(self, now),
            *_mapping("the source of", self.sources, now.sources),
            *_computed(self, now),
            *(_mapping("the version of", self.versions, now.versions) if versions else ()),
        ]


def _splits(before: Fingerprint, now: Fingerprint) -> Iterator[str]:
    for name in ("train", "validation", "test"):
        old: Split | None = getattr(before, name)
        new: Split | None = getattr(now, name)
        if (old is None) != (new is None):
            yield f"the {name} split ({'is there now' if old is None else 'is missing'})"
        elif old and new and old.examples != new.examples:
            yield f"the number of {name} examples ({old.examples:,}, now {new.examples:,})"
        elif old and new and not old.same(new):
            yield f"the {name} examples (other inputs or targets)"
    shown = None not in (before.train.targets, now.train.targets)
    if shown and before.clean_targets != now.clean_targets:
        yield "the clean targets"


def _plain(before: Fingerprint, now: Fingerprint) -> Iterator[str]:
    for name, words in _NAMED:
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            yield f"{words} ({old!r}, now {new!r})"
    if before.settings != now.settings:
        yield f"workload.settings ({before.settings}, now {now.settings})"


def _mapping(words: str, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if old is None or new is None:
            yield f"{words} {name} ({'was not used before' if old is None else 'is not used any more'})"
        elif len(old) == len(new) == 64:
            yield f"{words} {name}"
        else:
            yield f"{words} {name} ({old}, now {new})"


def _computed(before: Fingerprint, now: Fingerprint) -> Iterator[str]:
    """What the model, the loss and the metric are, by what they compute; no mere consequence is named."""
    model = list(_model(before.parameters, now.parameters))
    yield from model
    train, validation = before.train.same(now.train), before.validation.same(now.validation)
    inputs = _near(before.inputs, now.inputs, INPUTS_TOLERANCE)
    if not inputs and train:
        yield "the training inputs as the model gets them (transforms)"
    outputs = _near(before.outputs, now.outputs)
    if not outputs and inputs and validation and not model:
        yield "the untrained model's outputs"
    measures = list(_measures(before, now)) if outputs and validation else []
    yield from measures
    if before.step and now.step and train and inputs and outputs and not (model or measures):
        yield from before.step.differences(now.step)


def _measures(before: Fingerprint, now: Fingerprint) -> Iterator[str]:
    for name in ("loss", "metric"):
        if not _near(getattr(before, name), getattr(now, name)):
            yield f"the {name} of the untrained model's outputs"
        elif before.made_up and now.made_up:
            old, new = getattr(before.made_up, name), getattr(now.made_up, name)
            if not _near(old, new, PARAMETERS_TOLERANCE):
                yield f"the {name} of made-up outputs"


def _model(before: Mapping[str, Numbers], now: Mapping[str, Numbers]) -> Iterator[str]:
    if before.keys() == now.keys():
        yield from _parameters(before, now)
        return
    names = sorted(before.keys() ^ now.keys())
    more = ", ..." if len(names) > 3 else ""
    yield f"the names of the model's parameters ({', '.join(names[:3])}{more})"


def _parameters(before: Mapping[str, Numbers], now: Mapping[str, Numbers]) -> Iterator[str]:
    for name, old in before.items():
        new = now[name]
        if old.shape != new.shape:
            yield f"the shape of the model's {name} ({list(old.shape)}, now {list(new.shape)})"
            return
        if not old.near(new, PARAMETERS_TOLERANCE):
            yield f"the initial values of the model's {name}"
            return


def _near(
    before: tuple[Numbers, ...], now: tuple[Numbers, ...], tolerance: float = OUTPUTS_TOLERANCE
) -> bool:
    return len(before) == len(now) and all(
        old.near(new, tolerance) for old, new in zip(before, now, strict=True)
    )


def _same(before: Mapping[str, Numbers | None], now: Mapping[str, Numbers | None]) -> bool:
    return before.keys() == now.keys() and all(
        old is new or (old is not None and new is not None and old.near(new, INPUTS_TOLERANCE))
        for old, new in ((before[name], now[name]) for name in before)
    )
