"""Run by several processes: trains, and the first one writes what came out."""

import sys
from pathlib import Path

import torch
from transformers import TrainerCallback, TrainingArguments

from extras.small import classifier, documents
from headrace.integrations.transformers import FedTrainer


class Stop(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_save(self, args, state, control, **_):
        control.should_training_stop = control.should_training_stop or state.global_step == self.step


def main(folder: str, ranks: int, resume: bool, stop: int) -> None:
    args = TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=8 // ranks,
        gradient_accumulation_steps=2,
        num_train_epochs=2,
        learning_rate=0.1,
        optim="sgd",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        save_strategy="steps",
        save_steps=1,
        use_cpu=True,
    )
    trainer = FedTrainer(
        model=classifier(0.0), args=args, train_dataset=documents(28), policy="importance-prediction-variance"
    )
    fed: list[list[int]] = []
    narrow = trainer.get_batch_samples

    def noted(*arguments):
        batches, items = narrow(*arguments)
        fed.extend(batch["headrace_index"].tolist() for batch in batches)
        return batches, items

    trainer.get_batch_samples = noted
    trainer.add_callback(Stop(stop))
    trainer.train(resume_from_checkpoint=resume or None)
    weights = torch.cat([value.detach().flatten() for value in trainer.model.parameters()])
    found = {"fed": fed, "weights": weights, "table": trainer.history.state_dict()["table"]}
    torch.save(found, Path(folder) / f"found-{args.process_index}.pt")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "resume", int(sys.argv[4]))
