"""Hugging Face's Trainer: what it trains on, how it weighs, and that a resumed training is the same one."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from extras.launching import launched
from extras.small import classifier, documents, language_model, texts
from headrace.errors import InputError
from headrace.histories import History, LossHistory
from headrace.integrations.transformers import FedTrainer

N = 26


def arguments(folder: Path, **settings) -> TrainingArguments:
    """Batches of 4: seven per epoch, the last of 2; with two accumulated, four steps."""
    plain = {
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "num_train_epochs": 3,
        "learning_rate": 0.1,
        "optim": "sgd",
        "report_to": [],
        "disable_tqdm": True,
        "logging_strategy": "no",
        "save_strategy": "no",
        "use_cpu": True,
        "seed": 5,
    }
    return TrainingArguments(output_dir=str(folder), **{**plain, **settings})


class Stop(TrainerCallback):
    """Ends the process, as it were, after a step was saved."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_save(self, args, state, control, **_):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def trained(
    folder: Path, *, resume: bool = False, stop: int | None = None, data=None, model=None, **settings
):
    mine = {
        name: settings.pop(name) for name in ("policy", "feed", "each_loss", "history") if name in settings
    }
    trainer = FedTrainer(
        model=model or classifier(),
        args=arguments(folder, **settings),
        train_dataset=data or documents(N),
        eval_dataset=documents(8),
        callbacks=[] if stop is None else [Stop(stop)],
        **mine,
    )
    if stop is None:
        trainer.train(resume_from_checkpoint=resume)
    else:
        with pytest.raises(KeyboardInterrupt):
            trainer.train(resume_from_checkpoint=resume)
    return trainer


def weights(trainer) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in trainer.model.parameters()])


SAVES = {"save_strategy": "steps", "save_steps": 1, "eval_strategy": "epoch"}
ADAPTIVE = {"policy": "importance-prediction-variance", **SAVES}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    trainer = trained(tmp_path_factory.mktemp("whole"), **ADAPTIVE)
    return weights(trainer), trainer.history.state_dict()["table"]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [1, 3, 4, 5, 8, 11])
def test_a_resumed_training_is_the_uninterrupted_one_to_the_bit(tmp_path, uninterrupted, stop, workers):
    trained(tmp_path, stop=stop, **ADAPTIVE)
    again = trained(tmp_path, resume=True, dataloader_num_workers=workers, **ADAPTIVE)
    assert again.state.global_step == 12
    assert torch.equal(again.history.state_dict()["table"], uninterrupted[1])
    assert torch.equal(weights(again), uninterrupted[0])


def test_every_example_of_an_epoch_is_recorded_and_unused_columns_are_no_hindrance(tmp_path):
    trainer = trained(tmp_path)
    assert isinstance(trainer.history, History)
    assert trainer.history.count.tolist() == [3.0] * N


def ordered(trainer: FedTrainer, data: list) -> list:
    """The data in the order in which it was fed."""
    trainer.sampler.set_epoch(0)
    return [data[index] for batch in trainer.sampler for index in batch]


@pytest.mark.parametrize(
    ("model", "data", "accumulated"), [(classifier, documents, 1), (language_model, texts, 3)]
)
def test_weights_of_one_train_as_the_plain_trainer_does(tmp_path, model, data, accumulated):
    """With classes only without accumulation: the plain trainer takes BERT's mean loss for a scaled one."""
    data = data(24)
    settings = {"num_train_epochs": 1, "gradient_accumulation_steps": accumulated}
    mine = trained(tmp_path, model=model(0.0), data=data, **settings)
    plain = Trainer(
        model=model(0.0),
        args=arguments(tmp_path, **settings, train_sampling_strategy="sequential"),
        train_dataset=ordered(mine, data),
    )
    plain.train()
    assert torch.allclose(weights(mine), weights(plain), atol=2e-6)
    drawn = trained(tmp_path / "drawn", model=model(0.0), data=data, policy="uniform", **settings)
    assert not torch.allclose(weights(mine), weights(drawn), atol=1e-4)


def test_the_mean_is_over_all_items_of_a_step_also_if_its_last_batch_is_short(tmp_path):
    """26 examples, batches of 4, all in one step: as one batch of 26."""
    mine = trained(tmp_path, model=classifier(0.0), num_train_epochs=1, gradient_accumulation_steps=7)
    whole = trained(
        tmp_path,
        model=classifier(0.0),
        num_train_epochs=1,
        gradient_accumulation_steps=1,
        per_device_train_batch_size=N,
    )
    assert torch.allclose(weights(mine), weights(whole), atol=2e-6)


def test_weights_multiply_the_losses(tmp_path):
    """Examples of weight 0 or 2: as if the others were there twice and these not at all."""
    from headrace.policies import Policy
    from headrace.sampling.plan import Plan

    class Every(Policy):
        changes_objective = True

        def assess(self, known, epoch):
            return None

        def plan(self, values, epoch, rng):
            import numpy as np

            order = np.arange(epoch.num_examples)
            return Plan(indices=order, weights=2.0 * (order % 2))

        def draws(self, epoch):
            return epoch.num_examples

    settings = {"num_train_epochs": 1, "gradient_accumulation_steps": 1, "per_device_train_batch_size": 24}
    mine = trained(tmp_path, model=classifier(0.0), data=documents(24), policy=Every(), **settings)
    halves = [row for row in documents(24)[1::2] for _ in range(2)]
    other = trained(tmp_path, model=classifier(0.0), data=halves, **settings)
    assert torch.allclose(weights(mine), weights(other), atol=2e-6)


def test_losses_of_documents_are_recorded_as_their_mean(tmp_path):
    data = texts(24)
    trainer = trained(tmp_path, model=language_model(0.0), data=data, learning_rate=0.0, num_train_epochs=1)
    assert isinstance(trainer.history, LossHistory)
    model = language_model(0.0).eval()
    with torch.no_grad():
        alone = [model(**{key: row[None] for key, row in document.items()}).loss for document in data]
    counted = trainer.history.mean("loss") > 0
    assert counted.sum() > 20
    assert torch.allclose(trainer.history.mean("loss")[counted], torch.stack(alone)[counted], atol=1e-5)


@pytest.mark.parametrize("policy", ["selective-backprop", "gradient-norm"])
def test_policies_that_choose_within_batches(tmp_path, policy):
    whole = trained(tmp_path / "a", policy=policy, **SAVES)
    steps = whole.state.global_step
    trained(tmp_path / "b", policy=policy, stop=2, **SAVES)
    again = trained(tmp_path / "b", policy=policy, resume=True, **SAVES)
    assert steps == again.state.global_step
    assert torch.equal(weights(again), weights(whole))


def test_evaluating_does_not_change_the_training(tmp_path):
    often = trained(tmp_path, eval_strategy="steps", eval_steps=1)
    assert torch.equal(weights(often), weights(trained(tmp_path)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"auto_find_batch_size": True}, "auto_find_batch_size"),
        ({"train_sampling_strategy": "group_by_length"}, "train_sampling_strategy.*policy="),
        ({"accelerator_config": {"split_batches": True}}, "split_batches"),
        ({"policy": "recency-bias"}, "labels predicted lately"),
        ({"policy": "infobatch"}, "gradient_accumulation_steps"),
    ],
)
def test_settings_that_change_what_is_fed_are_refused(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        trained(tmp_path, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ignore_data_skip": True}, "ignore_data_skip.*Leave it out"),
        ({"per_device_train_batch_size": 2}, "per_device_train_batch_size.*batches of 4"),
        ({"policy": "weight-difficulty"}, "another policy"),
        ({"seed": 6}, "another seed"),
    ],
)
def test_other_ways_to_resume_are_refused(tmp_path, settings, message):
    trained(tmp_path, stop=3, **ADAPTIVE)
    with pytest.raises(InputError, match=message):
        trained(tmp_path, resume=True, **{**ADAPTIVE, **settings})


def test_a_checkpoint_of_a_plain_trainer_is_refused(tmp_path):
    Trainer(
        model=classifier(),
        args=arguments(tmp_path, **SAVES),
        train_dataset=documents(N),
        eval_dataset=documents(8),
    ).train()
    with pytest.raises(InputError, match="saved by a trainer without Headrace"):
        trained(tmp_path, resume=True, **ADAPTIVE)


class Penalised(type(classifier())):
    def forward(self, input_ids=None, labels=None):
        outputs = super().forward(input_ids=input_ids, labels=labels)
        if outputs.loss is not None:
            outputs.loss = outputs.loss + 1
        return outputs


def test_a_loss_that_is_not_the_models_own_is_refused(tmp_path):
    model = Penalised(classifier().config)
    with pytest.raises(InputError, match=r"own loss is not the one.*each_loss="):
        trained(tmp_path, model=model)
    given = trained(
        tmp_path,
        model=model,
        each_loss=lambda outputs, labels: 1 + outputs.logits[range(len(labels)), labels],
    )
    assert isinstance(given.history, LossHistory)


SCRIPT = "ranks_transformers.py"


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    return launched(SCRIPT, folder, 2, "begin", "0")


def joined(found: list[dict]) -> list[list[int]]:
    """The global batches, put together from the processes' parts."""
    return [[*chain(*parts)] for parts in zip(*(each["fed"] for each in found), strict=True)]


def test_two_processes_train_on_the_same_batches_as_one(tmp_path, two):
    (one,) = launched(SCRIPT, tmp_path, 1, "begin", "0")
    assert joined(two) == one["fed"]
    assert torch.equal(two[0]["weights"], two[1]["weights"])
    assert torch.equal(two[0]["table"], two[1]["table"])
    assert torch.allclose(two[0]["weights"], one["weights"], atol=1e-5)


@pytest.mark.parametrize("stop", [1, 2])
def test_two_processes_resume_to_the_bit(tmp_path, two, stop):
    first = launched(SCRIPT, tmp_path, 2, "begin", str(stop))
    again = launched(SCRIPT, tmp_path, 2, "resume", "0")
    assert joined(first) + joined(again) == joined(two)
    for mine, whole in zip(again, two, strict=True):
        assert torch.equal(mine["weights"], whole["weights"])
        assert torch.equal(mine["table"], whole["table"])


def test_one_process_resumes_what_two_have_saved(tmp_path, two):
    first = launched(SCRIPT, tmp_path, 2, "begin", "1")
    (again,) = launched(SCRIPT, tmp_path, 1, "resume", "0")
    assert joined(first) + again["fed"] == joined(two)
    assert torch.allclose(again["weights"], two[0]["weights"], atol=1e-5)
