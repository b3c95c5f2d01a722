"""An archive made by hand from the published description of its layout."""

from __future__ import annotations

import json
from pathlib import Path

HEADER = (
    "step,train/cross_entropy_error,train/classification_error,"
    "val/cross_entropy_error,val/classification_error,test/cross_entropy_error,test/classification_error"
)


def study_json(batch_size: int) -> dict:
    return {
        "batch_size": batch_size,
        "dataset": "mnist",
        "early_stopping": False,
        "model": "simple_cnn_base",
        "optimizer": "nesterov_momentum",
        "parameter_configs": {
            "end_learning_rate_factor": {
                "max_value": 0.1,
                "min_value": 0.0001,
                "scale": "LOG_SCALE",
                "type": "DOUBLE",
            },
            "label_smoothing": {"feasible_points": [0.0, 0.1], "type": "DISCRETE"},
            "learning_rate": {"max_value": 10.0, "min_value": 0.001, "scale": "LOG_SCALE", "type": "DOUBLE"},
            "learning_rate_decay_steps": {
                "max_value": 1000,
                "min_value": 500,
                "scale": "",
                "type": "INTEGER",
            },
            "momentum": {
                "max_value": 0.999,
                "min_value": 0.9,
                "scale": "REVERSE_LOG_SCALE",
                "type": "DOUBLE",
            },
        },
        "train_steps": 1000,
    }


# status -> the validation errors at steps 0, 400, 1000.
TRIALS = [
    ("INFEASIBLE", [0.9, 0.05, None]),
    ("COMPLETE", [0.9, 0.2, 0.1]),
    ("INCOMPLETE", [0.9, 0.05]),
    ("COMPLETE", [0.9, 0.3, 0.09]),
    ("COMPLETE", [0.9, 0.09, 0.04]),
    ("COMPLETE", [0.9, 0.01, 0.01]),
]


def make_archive(folder: Path) -> Path:
    """Two studies of six trials; returns the folder `dataset/model`."""
    root = folder / "batch_science" / "mnist" / "simple_cnn_base"
    for batch_size in (16, 256):
        study = root / "nesterov_momentum" / str(batch_size)
        for number, (status, errors) in enumerate(TRIALS, start=1):
            trial = study / str(number)
            trial.mkdir(parents=True)
            metadata = {
                "parameters": {
                    "end_learning_rate_factor": 0.01,
                    "label_smoothing": 0.1,
                    "learning_rate": 0.1 * number,
                    "learning_rate_decay_steps": 777,
                    "momentum": 0.95,
                },
                "status": status,
                "steps": (0, 400, 1000)[len(errors) - 1],
                "trial_id": number,
            }
            (trial / "metadata.json").write_text(json.dumps(metadata))
            rows = [
                f"{step},0.5,0.25,0.6,{'' if error is None else error},0.7,0.125"
                for step, error in zip((0, 400, 1000), errors, strict=False)
            ]
            (trial / "measurements.csv").write_text("\n".join([HEADER, *rows]) + "\n")
        (study / "study.json").write_text(json.dumps(study_json(batch_size)))
    return root
