"""What of a Hugging Face trainer cannot be together with a sampler, and its checkpoints' file of ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.errors import InputError
from headrace.integrations import states
from headrace.policies import Policy
from headrace.sampling import ExampleSampler
from headrace.sampling.plan import Epoch


def check_equal_epochs(
    policy: Policy | None, examples: int, sampler: ExampleSampler, settings: Mapping[str, Any]
) -> None:
    """`InputError` if some epochs are shorter: the trainer would keep gradients of an unfinished step."""
    if policy is None:
        return
    epochs = settings["epochs"]
    known: dict[str, Any] = {"num_examples": examples, "epochs": epochs, "size": settings.get("size")}
    lengths = {policy.draws(Epoch(number=epoch, workers=sampler.workers, **known)) for epoch in range(epochs)}
    if len(lengths) > 1 or None in lengths:
        raise InputError(
            "must be 1 with a policy whose epochs differ in length: the trainer counts on equal ones",
            where="gradient_accumulation_steps",
            got=repr(policy),
            fix="Give a larger per_device_train_batch_size, or another policy.",
        )


def file_in(folder: Path | str, rank: int, ranks: int) -> Path:
    """Where a process keeps its sampler and history in a checkpoint."""
    name = "headrace.safetensors" if ranks == 1 else f"headrace-{rank}-of-{ranks}.safetensors"
    return Path(folder, name)


def saved_in(checkpoint: Path, rank: int, ranks: int) -> list[dict[str, Any]]:
    """This process's state in a checkpoint; of another number of processes, the states of all."""
    if not (checkpoint / "trainer_state.json").is_file():
        raise InputError("is not a whole checkpoint of the trainer", where=str(checkpoint))
    mine = file_in(checkpoint, rank, ranks)
    if mine.is_file():
        return [states.read(mine)]
    found = sorted(checkpoint.glob("headrace*.safetensors"), key=lambda path: int(path.stem.split("-")[1]))
    if not found:
        raise InputError(
            "the checkpoint was saved by a trainer without Headrace, so its place in the data is not known",
            where=str(checkpoint),
            fix="Resume with the trainer that saved it, or begin anew from its weights.",
        )
    return [states.read(path) for path in found]


def check_resumable(trainer: Any, saved: Mapping[str, Any]) -> None:
    """`InputError` if the trainer would not resume where the saved sampler was."""
    if trainer.args.ignore_data_skip:
        raise InputError(
            "the trainer would begin the epoch of the checkpoint anew",
            where="ignore_data_skip",
            got=True,
            fix="Leave it out: the sampler continues at its place in the epoch.",
        )
    mine = trainer.sampler.batch_size
    if not saved["finished"] and saved["batch_size"] != mine:
        raise InputError(
            f"the checkpoint is from the middle of an epoch with batches of {saved['batch_size']}",
            where="per_device_train_batch_size",
            got=f"{mine} over all processes",
            fix="Resume with the same batch size over all processes, or from a checkpoint at an epoch's end.",
        )


def check_settings(trainer: Any, transformers: Any) -> None:
    """Raise for each setting of the trainer that cannot be together with a sampler."""
    args = trainer.args
    strategy = getattr(args, "train_sampling_strategy", "random")
    refused = [
        ("auto_find_batch_size", args.auto_find_batch_size, "Give per_device_train_batch_size."),
        ("train_sampling_strategy", strategy != "random" and strategy, "Give policy= instead."),
        ("split_batches", args.accelerator_config.split_batches, "Give per_device_train_batch_size."),
        (
            "average_tokens_across_devices",
            args.world_size > 1 and not args.average_tokens_across_devices and "False",
            "Leave it True: the mean is over the items of all processes.",
        ),
        ("compute_loss_func", trainer.compute_loss_func is not None, "Give each_loss= instead."),
    ]
    for name, value, fix in refused:
        if value:
            raise InputError("cannot be used with a policy's sampler", where=name, got=value, fix=fix)
    needs = frozenset[str]() if trainer.policy is None else trainer.policy.needs
    if "label_window" in needs:
        raise InputError(
            "needs the labels predicted lately, which the trainer does not record",
            where="FedTrainer: policy",
            got=repr(trainer.policy),
            fix="Use another policy, or a loop of your own.",
        )
    if not hasattr(transformers.Trainer, "_init_training_state"):
        raise InputError(
            "this version of transformers has another training loop",
            where="FedTrainer",
            got=transformers.__version__,
            fix="Install transformers 5.23 or later.",
        )
