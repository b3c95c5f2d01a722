"""What is trained: a data set, a model, a loss and a metric, with the goal that ends the race.

The life of a workload: a worker process builds it once (`registry.load_workload`), moves its data to the
device, and trains many models on it. `build_model` is called once per trial, inside
`headrace.random.torch_stream`, so it may use torch's own initialisers and must not seed anything.
The data are read by every trial and must not be changed by any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from headrace import checks
from headrace import ids as example_ids
from headrace.errors import InputError
from headrace.ids import Ids
from headrace.printable import storable
from headrace.training.data import ExampleData, Transformed
from headrace.training.evaluation import OfMean
from headrace.training.losses import (
    Loss,
    Weigh,
    classification_error,
    counted_targets,
    cross_entropy,
    weighted_by_targets,
)
from headrace.workloads.called import Call, CalledBy
from headrace.workloads.kinds import Targets

MeanOver = Literal["examples", "targets"]

_OPTIONAL_FUNCTIONS = {
    "show": "an index",
    "train_transform": "a batch of inputs",
    "eval_transform": "a batch of inputs",
    "call": "a model and a batch of inputs",
    "of_mean": "a split's name and a mean",
}

_CHUNK = 4096
"""Examples fetched at once to count their targets; memory only."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Data set + model + loss + metric, and the goal.

    Args:
        name: What it is called in results and reports.
        train: The training split.
        validation: The split on which the goal is judged.
        test: The split that is recorded and never used for a choice, if there is one.
        build_model: Makes a freshly initialised model; called once per trial, on that trial's own stream.
        loss: Loss per example: `(outputs, targets) -> [batch]`.
        metric: Metric per example, lower is better: `(outputs, targets) -> [batch]`; a split's metric is its
            mean.
        metric_name: The metric's name in the measurements: `validation/<metric_name>`.
        goal: The goal is reached at the first evaluated step whose validation metric is strictly below this.
        classes: The classes' names, in the order of their numbers, if they are classes.
        description: One or two sentences for the report.
        clean_targets: The training targets before `label_noise` [examples], so that flipped labels can be
            scored.
        show: What a reader is shown of a training example: a text, an array of pixels ([height width], or
            with 1 or 3 channels first or last) or a Pillow image. It is called with the example's id, or
            with its index in `train` if there are no ids. Without it, inputs [1 or 3, height, width] are
            shown as pictures, and others are not shown.
        targets: What kind of targets they are: "classes" [examples], "labels" (0 or 1 for each class)
            [examples classes], "numbers" (anything to be predicted as a number), or "tokens" (class numbers
            [examples ...], -100 for padding). None: found out once, from targets, outputs and loss.
        outputs: How many classes the model's outputs distinguish. None: found out with `targets`; it stays
            None where numbers are predicted.
        mean_over: "examples" counts all examples alike; "targets" weighs each by its number of targets that
            are not -100 (documents by their length), in training as in evaluation.
        counts_tokens: Whether tokens are the unit of budgets, costs and axes. None: if `targets` is stated
            as "tokens".
        ids: What the training examples are called wherever a person or a file names them: integers or
            texts, each different [examples]. None: those of `train`, if it has any (`train.ids`), or else
            the indices.
        train_transform: Applied to each batch of inputs that is trained on, as `train` fetches it, on the
            device of the data: `inputs -> inputs`. It may be random (an augmentation): torch's, NumPy's and
            Python's global generators are seeded for each trial. Identity is that of the examples before it.
        call: How a model is called, if not `model(inputs)`: `(model, inputs) -> outputs`, for example
            `lambda model, batch: model(**batch).logits`.
        of_mean: What the metric of a split is, of its mean over the split's examples: `(split, mean) ->
            metric`, such as `exp(mean)` for a perplexity. None: the mean. The goal is in this unit.
        eval_transform: The same, deterministic, wherever a model is evaluated, scores examples or chooses
            among them, on every split. Without either, inputs are used as they are fetched.

    Raises:
        InputError: A field cannot be what it should be, by name.
    """

    name: str
    train: ExampleData
    validation: ExampleData
    test: ExampleData | None = None
    build_model: Callable[[], nn.Module]
    loss: Loss = cross_entropy
    metric: Loss = classification_error
    metric_name: str = "error"
    goal: float
    classes: tuple[str, ...] | None = None
    description: str = ""
    clean_targets: Tensor | None = None
    show: Callable[[Any], object] | None = None
    targets: Targets | None = None
    outputs: int | None = None
    mean_over: MeanOver = "examples"
    ids: object = None
    train_transform: Callable[[Any], Any] | None = None
    eval_transform: Callable[[Any], Any] | None = None
    call: Call | None = None
    of_mean: OfMean | None = None
    counts_tokens: bool | None = None

    @property
    def kind(self) -> Targets:
        """The kind of targets, once it is stated: inspection states it where the workload does not."""
        assert self.targets is not None
        return self.targets

    @property
    def training_data(self) -> ExampleData:
        """The training examples as models are trained on them."""
        return _transformed(self.train, self.train_transform)

    def evaluation_data(self, split: str) -> ExampleData:
        """The examples of a split as models are evaluated on them.

        Args:
            split: "train", "validation" or, if the workload has one, "test".
        """
        data: ExampleData | None = getattr(self, split)
        assert data is not None
        return _transformed(data, self.eval_transform)

    def __post_init__(self) -> None:
        self._check_texts()
        self._make_texts_storable()
        self._check_choices()
        for split in ("train", "validation", "test"):
            self._check_split(split)
        if self.counts_tokens is None:
            object.__setattr__(self, "counts_tokens", self.targets == "tokens")
        for field in ("build_model", "loss", "metric"):
            if not callable(getattr(self, field)):
                raise self._wrong(field, "must be a function")
        if isinstance(self.build_model, nn.Module):
            fix = "Give a function, for example lambda: nn.Linear(4, 3)."
            raise self._wrong("build_model", "must be a function that makes a new model", fix)
        for field, words in _OPTIONAL_FUNCTIONS.items():
            if getattr(self, field) is not None and not callable(getattr(self, field)):
                raise self._wrong(field, f"must be a function of {words}, or None")
        self._take_in_call()
        try:
            checks.number(self.goal, "goal")
        except InputError:
            raise self._wrong("goal", "must be a finite number") from None
        clean = self.clean_targets
        if clean is not None and len(clean) != len(self.train):
            raise self._wrong("clean_targets", f"must have one target for each of {len(self.train)} examples")
        self._check_ids()

    def _take_in_call(self) -> None:
        # Models know how they are called from here on, so nobody who calls one must.
        if self.call is not None:
            object.__setattr__(self, "build_model", CalledBy(self.build_model, self.call))
            object.__setattr__(self, "call", None)

    def _make_texts_storable(self) -> None:
        # Names of folders may hold bytes of another encoding, which no file of text can keep.
        object.__setattr__(self, "name", storable(self.name))
        if self.classes is not None:
            object.__setattr__(self, "classes", tuple(map(storable, self.classes)))

    @property
    def example_ids(self) -> Ids | None:
        """What the training examples are called, or None where their indices are their names."""
        own: Any = getattr(self.train, "ids", None)
        given: Any = self.ids
        return own if given is None else given

    def _check_ids(self) -> None:
        own: Any = getattr(self.train, "ids", None)
        if self.ids is not None:
            given = example_ids.checked(self.ids, len(self.train), where="Workload")
            object.__setattr__(self, "ids", given)
            if own is not None and given.tolist() != list(own):
                raise InputError(
                    "the ids differ from those of train", where="Workload", fix="Give them in one place."
                )

    @property
    def weigh(self) -> Weigh | None:
        """How much each example counts in an evaluation; None as `training.evaluation.evaluator` has it."""
        return counted_targets if self.mean_over == "targets" else None

    @cached_property
    def targets_per_example(self) -> float:
        """The mean number of a training example's targets that count (are not -100).

        Data that know it say it (`train.targets_per_example`); others are looked at once, whole.
        """
        known: Any = getattr(self.train, "targets_per_example", None)
        if known is not None:
            return float(known)
        parts = torch.arange(len(self.train)).split(_CHUNK)
        counted = sum(int(counted_targets(self.train.fetch(part)[1]).sum()) for part in parts)
        return counted / len(self.train)

    @cached_property
    def training_loss(self) -> Loss:
        """The loss that is trained on: with `mean_over="targets"` weighted, after one look at all targets.

        Raises:
            InputError: No training target counts.
        """
        if self.mean_over == "examples" or getattr(self.train, "alike", False):
            return self.loss
        if not self.targets_per_example:
            raise InputError("all training targets are -100", where="train")
        return weighted_by_targets(self.loss, self.targets_per_example)

    def _check_choices(self) -> None:
        for field, choices in (("targets", (*get_args(Targets), None)), ("mean_over", get_args(MeanOver))):
            if getattr(self, field) not in choices:
                raise self._wrong(field, f"must be one of {', '.join(map(repr, choices))}")
        if self.outputs is not None:
            object.__setattr__(self, "outputs", checks.whole(self.outputs, "Workload.outputs", least=1))

    def _check_texts(self) -> None:
        if not isinstance(self.name, str) or not self.name:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise self._wrong("name", "must be a text that is not empty")
        if not isinstance(self.metric_name, str) or not self.metric_name.isidentifier():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise self._wrong("metric_name", "must be one word, such as 'error'")
        if self.metric_name == "loss":
            raise self._wrong(
                "metric_name", "is the name under which the loss is recorded", "Choose another."
            )

    def _check_split(self, split: str) -> None:
        if split == "test" and self.test is None:
            return
        data: Any = getattr(self, split)
        missing = [name for name in ("__len__", "fetch", "to") if not callable(getattr(data, name, None))]
        if missing:
            raise self._wrong(
                split,
                f"is not ExampleData: it has no {', '.join(missing)}",
                "Wrap tensors in headrace.training.data.TensorData, a torch Dataset in MapData.",
            )
        if len(data) == 0:
            raise self._wrong(split, "has no examples")

    def _wrong(self, field: str, what: str, fix: str | None = None) -> InputError:
        got = getattr(self, field)
        plain = got is None or isinstance(got, str | int | float)
        return InputError(
            f"{field} {what}", where="Workload", got=got if plain else type(got).__name__, fix=fix
        )


def _transformed(data: ExampleData, transform: Callable[[Any], Any] | None) -> ExampleData:
    return data if transform is None else Transformed(data, transform)
