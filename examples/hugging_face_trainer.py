"""Hugging Face's Trainer, fed by a policy; the lines marked `# headrace` are all that differs.

    pip install '.[transformers]'
    python examples/hugging_face_trainer.py --policy weight-difficulty

It trains a small BERT, made here, to say which of two tokens is more frequent in a row of eight. Interrupt
it and start it again: it continues from its latest checkpoint, as if it had not been interrupted.
"""

import argparse
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

import headrace  # headrace
from headrace.integrations.transformers import FedTrainer  # headrace: instead of Trainer
from headrace.random import torch_generator

N = 480


def main(policy: str = "weight-difficulty", folder: str = "runs/trainer", epochs: int = 4) -> float:
    """Train; returns the test accuracy."""
    tokens = torch.randint(0, 2, (N + 200, 8), generator=torch_generator(0, "tokens"))
    rows = [{"input_ids": row, "labels": int(row.sum() > 4)} for row in tokens]
    config = BertConfig(
        vocab_size=2,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=2,
    )
    args = TrainingArguments(
        output_dir=folder,
        num_train_epochs=epochs,
        per_device_train_batch_size=16,
        gradient_accumulation_steps=2,
        learning_rate=3e-3,
        save_steps=10,
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = FedTrainer(  # headrace: instead of Trainer
        model=BertForSequenceClassification(config),
        args=args,
        train_dataset=rows[:N],
        eval_dataset=rows[N:],
        compute_metrics=lambda found: {"accuracy": float((found[0].argmax(1) == found[1]).mean())},
        policy=policy,  # headrace
    )
    Path(folder).mkdir(parents=True, exist_ok=True)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(folder))
    accuracy = trainer.evaluate()["eval_accuracy"]
    hardest = headrace.scores.difficulty(trainer.history).argsort()[-5:]  # headrace
    print(f"{policy}: test accuracy {accuracy:.3f}; the hardest examples are {hardest.tolist()}")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--policy", default="weight-difficulty", help="the name of any policy")
    parser.add_argument("--folder", default="runs/trainer", help="where the checkpoints are")
    chosen = parser.parse_args()
    main(chosen.policy, chosen.folder)
