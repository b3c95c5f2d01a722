"""Hugging Face's Trainer, fed by a policy, with a history of its training examples.

    trainer = FedTrainer(model=model, args=args, train_dataset=train, policy="weight-difficulty")
    trainer.train(resume_from_checkpoint=...)
    headrace.scores.difficulty(trainer.history)

It takes all that `transformers.Trainer` takes. To feed a trainer of another kind put it first among the
bases: `class MyTrainer(FedTrainer, SFTTrainer): ...`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headrace.errors import InputError
from headrace.histories import History, LossHistory, SharedHistory
from headrace.integrations import states
from headrace.integrations.agreement import shift_of
from headrace.integrations.loading import INDEX, Feed, examples_of, fed
from headrace.integrations.losses import Losses, each_loss, given_losses, items_of, logits_of
from headrace.integrations.needed import needed
from headrace.integrations.trainer_checks import (
    check_equal_epochs,
    check_resumable,
    check_settings,
    file_in,
    saved_in,
)
from headrace.policies import Policy, make_policy
from headrace.random import torch_stream
from headrace.sampling import ExampleSampler

transformers = needed("transformers", "transformers")

_WEIGHTS = "headrace_weights"
_OURS = (INDEX, _WEIGHTS)

EachLoss = Callable[[Any, Tensor], Tensor]
"""The model's outputs and the labels -> the loss of each example [batch]."""


class FedTrainer(transformers.Trainer):
    """A `transformers.Trainer` whose training examples a policy feeds.

    It gives the loader (the indices survive collation and `remove_unused_columns`), weighs the losses (their
    mean is over all items of a step, over accumulated batches and processes), records every example, and
    keeps sampler and history in the trainer's checkpoints. `train(resume_from_checkpoint=...)` then equals a
    training that was not interrupted, from any step.

    Args:
        arguments: For the trainer.
        policy: A policy or its name; None feeds every example once per epoch in random order.
        history: Records the training examples. None makes a `History` if there is one class per
            example, otherwise a `LossHistory` of each example's mean loss.
        each_loss: The model's outputs and the labels -> one loss per example. None reads the kind of task
            from the shapes, see `headrace.integrations.losses`. The objective is then the mean over examples.
        feed: More arguments for `ExampleSampler`, such as `holdout_losses`, `labels`, `size` and `last`.
        keywords: For the trainer.

    Attributes:
        history: The history; after `train` the same on every process.
        sampler: The `ExampleSampler` of the current or latest training.

    Raises:
        InputError: A setting of the trainer that would change what is fed, or would have no effect.
    """

    def __init__(
        self,
        *arguments: Any,
        policy: Policy | str | None = None,
        history: History | LossHistory | None = None,
        each_loss: EachLoss | None = None,
        feed: Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> None:
        self.policy = make_policy(policy) if isinstance(policy, str) else policy
        self.history = history
        self._given_history = history
        self._each_loss = each_loss
        self._feed_settings = dict(feed or {})
        self._shift: bool | None = None
        super().__init__(*arguments, **keywords)
        check_settings(self, transformers)
        # The mean over a step's items is made here: no division by the number of accumulated batches.
        self.loss_is_scaled_for_ga = self.model_accepts_loss_kwargs = True

    def train(self, *arguments: Any, **keywords: Any) -> Any:
        """Train as the trainer does; afterwards every process has the whole history."""
        result = super().train(*arguments, **keywords)
        self._shared.merge()
        return result

    def evaluate(self, *arguments: Any, **keywords: Any) -> Any:
        """Evaluate as the trainer does, without changing the random numbers of the training."""
        with _random_state_kept(self.args.device):
            return super().evaluate(*arguments, **keywords)

    def get_train_dataloader(self) -> Any:
        """The trainer's loader of the training set, fed by the sampler."""
        loader = super().get_train_dataloader()
        examples = examples_of(loader)
        given = self._given_history
        self.history = history = self._new_history(loader, examples) if given is None else given
        self._shared = SharedHistory(history)
        self.sampler = self._new_sampler(examples)
        self._candidates = _Candidates(self)
        self._feed = Feed(self.sampler, self._shared.merge)
        return fed(loader, self._feed)

    def _new_history(self, loader: Any, examples: int) -> History | LossHistory:
        with _random_state_kept(self.args.device):
            labels = _labels_of(loader.collate_fn([loader.dataset[0]]))
        per_class = labels.ndim == 1 and not labels.is_floating_point() and self._each_loss is None
        return (History if per_class else LossHistory)(examples, device=self.args.device)

    def _new_sampler(self, examples: int) -> ExampleSampler:
        args = self.args
        batch_size = self._train_batch_size * args.world_size
        settings: dict[str, Any] = {
            "seed": args.seed if args.data_seed is None else args.data_seed,
            "last": "drop" if args.dataloader_drop_last else "short",
            "epochs": math.ceil(args.num_train_epochs),
            "policy": self.policy,
            "history": self.history,
            "batch_size": batch_size,
            **self._feed_settings,
        }
        if args.max_steps > 0 and "epochs" not in self._feed_settings:
            batches = len(ExampleSampler(examples, **{**settings, "epochs": args.max_steps}))
            updates = math.ceil(batches / args.gradient_accumulation_steps)
            settings["epochs"] = math.ceil(args.max_steps / updates)
        sampler = ExampleSampler(examples, **settings)
        if args.gradient_accumulation_steps > 1:
            check_equal_epochs(self.policy, examples, sampler, settings)
        return sampler

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: Any
    ) -> tuple[list[Any], Tensor | None]:
        """The batches of one optimizer step, chosen and weighed, and the number of items in all of them."""
        batches = [self._chosen(batch) for batch in islice(epoch_iterator, num_batches)]
        if not batches:
            return batches, None
        items = torch.stack([self._items(batch).sum() for batch in batches]).sum().to(device)
        return batches, self.accelerator.gather(items).sum().clamp(min=1)

    def _items(self, batch: Mapping[str, Any]) -> Tensor:
        labels = _labels_of(batch)
        if self._each_loss is not None:
            return torch.ones(len(labels), device=labels.device)
        return items_of(labels, shift=self._shifts(batch))

    def _shifts(self, batch: Mapping[str, Any]) -> bool:
        return bool(self._shift) and "shift_labels" not in batch

    def _chosen(self, batch: Any) -> Any:
        """A batch with the examples that the policy trains on, and their weights."""
        batch = self._prepare_inputs(batch)
        index = batch[INDEX]
        inputs = {key: value for key, value in batch.items() if key != INDEX}
        if self._shift is None and self._each_loss is None:
            with torch_stream(self.args.seed, "compare"), self.compute_loss_context_manager():
                self._shift = shift_of(self.model, inputs, _labels_of(batch))
        with self._stream_of_choice():
            index, inputs, _, weights = self.sampler.narrow(
                index, inputs, _labels_of(inputs), self._candidates, self._candidates.losses
            )
        return {**inputs, INDEX: index, _WEIGHTS: weights}

    def _stream_of_choice(self) -> AbstractContextManager[None]:
        """The random numbers of a forward pass over candidates, so that it changes none of the training's."""
        if self.sampler.plan().candidates == 1:
            return nullcontext()
        return torch_stream(self.args.seed, "narrow", self.state.global_step)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        """The batch's share of the step's loss; a batch of an evaluation is the trainer's own."""
        if INDEX not in inputs:
            return super().compute_loss(model, inputs, return_outputs=return_outputs)
        labels = _labels_of(inputs)
        outputs, losses = self.losses_of(model, inputs)
        self._record(inputs[INDEX], outputs, labels, losses.means.detach())
        loss = (inputs[_WEIGHTS] * losses.sums).sum() / num_items_in_batch
        # Processes' gradients are averaged, and the items are those of all processes.
        loss = loss * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss

    def losses_of(self, model: Any, inputs: Mapping[str, Any]) -> tuple[Any, Losses]:
        """The model's outputs for a batch, and the losses of its examples, not yet weighed."""
        labels = _labels_of(inputs)
        hidden = _OURS if self._keeps_labels else (*_OURS, "labels", "shift_labels")
        outputs = model(**{key: value for key, value in inputs.items() if key not in hidden})
        if self._each_loss is not None:
            return outputs, given_losses(self._each_loss(outputs, labels), len(labels))
        smoothing = self.args.label_smoothing_factor
        shift = self._shifts(inputs)
        return outputs, each_loss(logits_of(outputs), labels, shift=shift, smoothing=smoothing)

    @property
    def _keeps_labels(self) -> bool:
        """Whether the model needs its labels as inputs too: a decoder begins with them."""
        return bool(getattr(getattr(self.model, "config", None), "is_encoder_decoder", False))

    def _record(self, index: Tensor, outputs: Any, labels: Tensor, means: Tensor) -> None:
        if isinstance(self.history, LossHistory):
            self.history.record(index, means)
        elif self.history is not None:
            self.history.record(index, logits_of(outputs).detach(), labels)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        path = file_in(output_dir, self.args.process_index, self.args.world_size)
        states.write(path, {"sampler": self.sampler.state_dict(), "history": self._shared.state_dict()})

    def _init_training_state(
        self,
        max_steps: int,
        num_update_steps_per_epoch: int,
        num_train_epochs: int,
        checkpoint: Any,
        trial: Any,
    ) -> tuple[int, int]:
        """Where the training begins: for a checkpoint, where its sampler was."""
        begin = super()._init_training_state(
            max_steps, num_update_steps_per_epoch, num_train_epochs, checkpoint, trial
        )
        return begin if checkpoint is None else self._resume(Path(checkpoint))

    def _resume(self, checkpoint: Path) -> tuple[int, int]:
        saved = saved_in(checkpoint, self.args.process_index, self.args.world_size)
        sampler = saved[0]["sampler"]
        check_resumable(self, sampler)
        self._shared.load_state_dict(*(state["history"] for state in saved))
        self.sampler.load_state_dict(sampler)
        if sampler["finished"]:
            return sampler["epoch"] + 1, 0
        self._feed.skip = sampler["items"]
        return sampler["epoch"], sampler["items"]


class _Candidates:
    """A forward pass over the candidates of a batch, from which a policy chooses.

    Args:
        trainer: Its model and loss are used.
    """

    def __init__(self, trainer: FedTrainer) -> None:
        self._trainer = trainer
        self._losses = torch.empty(0)

    def __call__(self, inputs: Mapping[str, Any]) -> Tensor:
        """The candidates' logits; their losses are kept for `losses`."""
        trainer = self._trainer
        trainer.model.train()
        with trainer.compute_loss_context_manager():
            outputs, losses = trainer.losses_of(trainer.model, inputs)
        self._losses = losses.means
        return logits_of(outputs)

    def losses(self, _outputs: Tensor, _labels: Tensor) -> Tensor:
        """The losses of the latest candidates [batch]."""
        return self._losses


def _labels_of(batch: Mapping[str, Any]) -> Tensor:
    labels = batch.get("shift_labels", batch.get("labels"))
    if isinstance(labels, Tensor):
        return labels
    raise InputError(
        "a batch must hold the targets as a tensor under 'labels'",
        where="train_dataset",
        got=sorted(map(str, batch)),
        fix="Name the column 'labels', and keep it: the model's forward must accept labels=, or set "
        "TrainingArguments(remove_unused_columns=False).",
    )


def _random_state_kept(device: torch.device) -> AbstractContextManager[None]:
    return torch.random.fork_rng([device] if device.type == "cuda" else [])
