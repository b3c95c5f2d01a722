"""Which score finds flipped labels? A plain loop with a history, and the area under each score's ROC curve.

    python examples/find_flipped_labels.py --workload mnist-fc --noise 0.2 --seeds 10 --out runs/flipped
    headrace compare runs/flipped/areas.csv --baseline mean_loss --metric area --higher-is-better

A share of the training labels is flipped, always the same; the model is trained on them with each seed, and
after every epoch each score ranks the examples from most to least suspicious (its hard end first). The area
is the chance that a flipped example ranks above an unflipped one: 0.5 is guessing. In the folder:

    areas.csv     group (the score), seed, area and found at the last epoch; found is the share of flipped
                  examples among as many of the most suspicious as were flipped
    epochs.csv    score, seed, epoch, area
    summary.csv   score, mean area, its interval of 95% over the seeds (Student's t), mean found
    flipped.png   both as a figure

For labels of your own, where none are known to be wrong: take `train` with your data, and look at the first
examples of `suspicion(history)["mean_loss"].argsort()[::-1]`.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from scipy.special import stdtrit
from torch.nn.functional import cross_entropy

from headrace import History, random
from headrace.analysis.roc import area_under_roc
from headrace.histories import SCORES
from headrace.report.style import INK, TEXT, styled
from headrace.workloads import Workload
from headrace.workloads.registry import load_workload


def main() -> None:
    asked = arguments()
    torch.set_num_threads(1)
    asked.out.mkdir(parents=True, exist_ok=True)
    workload = load_workload(asked.workload, {**asked.settings, "label_noise": asked.noise})
    assert workload.clean_targets is not None
    _, targets = workload.train.fetch(torch.arange(len(workload.train)))
    flipped = (targets != workload.clean_targets).numpy()
    rows: list[dict[str, Any]] = []
    for seed in track(range(asked.seeds), description="seeds"):
        epochs = train(workload, seed, asked.epochs, asked.batch_size, asked.learning_rate)
        for epoch, history in enumerate(epochs, start=1):
            for score, ranked in suspicion(history).items():
                row = {
                    "score": score,
                    "seed": seed,
                    "epoch": epoch,
                    "area": area_under_roc(ranked, flipped).area,
                }
                rows.append(row | {"found": found(ranked, flipped)})
    last = [row for row in rows if row["epoch"] == asked.epochs]
    summary = summarised(last)
    write(asked.out / "epochs.csv", rows, drop=("found",))
    write(asked.out / "areas.csv", [{"group": row["score"], **row} for row in last], drop=("score", "epoch"))
    write(asked.out / "summary.csv", summary)
    picture(rows, summary).savefig(asked.out / "flipped.png", dpi=144)
    for row in summary:
        print("{score:20} area {area:.3f} [{low:.3f}, {high:.3f}], found {found:.1%}".format(**row))


def train(
    workload: Workload, seed: int, epochs: int, batch_size: int, learning_rate: float
) -> Iterator[History]:
    """A plain loop; after every epoch the history of all that was seen until then."""
    examples = len(workload.train)
    with random.torch_stream(seed, "initialisation"):
        model = workload.build_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    history = History(examples)
    for epoch in range(epochs):
        order = torch.from_numpy(random.generator(seed, "order", epoch).permutation(examples))
        with random.torch_stream(seed, "training", epoch):
            for index in order.split(batch_size):
                inputs, targets = workload.train.fetch(index)
                outputs = model(inputs)
                history.record(index, outputs.detach(), targets)
                optimizer.zero_grad()
                cross_entropy(outputs, targets).backward()
                optimizer.step()
        yield history


def suspicion(history: History) -> dict[str, np.ndarray]:
    """Each score, turned so that higher is harder [examples]."""
    return {name: score.hardness(history).numpy() for name, score in SCORES.items()}


def found(suspicious: np.ndarray, flipped: np.ndarray) -> float:
    """The share of flipped examples among as many of the most suspicious; ties by index."""
    most = np.argsort(-suspicious, kind="stable")[: flipped.sum()]
    return float(flipped[most].mean())


def summarised(last: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each score the mean area, its interval over the seeds, and the mean found; the best first."""
    rows: list[dict[str, Any]] = []
    for score in dict.fromkeys(row["score"] for row in last):
        areas = np.array([row["area"] for row in last if row["score"] == score])
        share = np.mean([row["found"] for row in last if row["score"] == score])
        half = stdtrit(len(areas) - 1, 0.975) * areas.std(ddof=1) / np.sqrt(len(areas))
        mean = areas.mean()
        rows.append({"score": score, "area": mean, "low": mean - half, "high": mean + half, "found": share})
    return sorted(rows, key=lambda row: -row["area"])


def picture(rows: list[dict[str, Any]], summary: list[dict[str, Any]]) -> Any:
    """Left the areas at the last epoch with their intervals, right the mean area after each epoch."""
    from matplotlib.figure import Figure

    with styled("flipped"):
        figure = Figure(figsize=(11, 5.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        places = range(len(summary), 0, -1)
        middle = [row["area"] for row in summary]
        halves = [row["high"] - row["area"] for row in summary]
        left.errorbar(middle, places, xerr=halves, fmt="o", color=INK, capsize=3)
        left.set_yticks(places, [row["score"].replace("_", " ") for row in summary])
        left.axvline(0.5, color=INK, linestyle=":")
        left.set_xlabel("area under the ROC curve, last epoch")
        last = draw_epochs(right, rows, [row["score"] for row in summary])
        for place, (height, names) in enumerate(spread(last, gap=0.036)):
            at = {"xycoords": ("axes fraction", "data"), "va": "center", "size": TEXT}
            right.annotate(names, (1.02, height), color=f"C{place}", **at)
        right.axhline(0.5, color=INK, linestyle=":")
        right.annotate("guessing", (1.02, 0.5), xycoords=("axes fraction", "data"), va="center", size=TEXT)
        right.set_xlabel("epoch")
        right.set_ylabel("mean area over the seeds")
    return figure


def draw_epochs(axes: Any, rows: list[dict[str, Any]], scores: list[str]) -> dict[float, str]:
    """A line for each score, of those that are equal one; mean area at the last epoch -> the names."""
    last: dict[float, str] = {}
    for score in scores:
        epochs = sorted({row["epoch"] for row in rows})
        means = [
            np.mean([row["area"] for row in rows if (row["score"], row["epoch"]) == (score, epoch)])
            for epoch in epochs
        ]
        end, name = round(float(means[-1]), 6), score.replace("_", " ")
        if end not in last:
            axes.plot(epochs, means, marker="o", markersize=4, color=f"C{len(last)}")
        last[end] = f"{last[end]}, {name}" if end in last else name
    return last


def spread(names: dict[float, str], gap: float) -> list[tuple[float, str]]:
    """Where to write each name so that they keep `gap` from each other, the highest first."""
    placed: list[tuple[float, str]] = []
    for height in sorted(names, reverse=True):
        highest = placed[-1][0] - gap if placed else height
        placed.append((min(height, highest), names[height]))
    return placed


def write(path: Path, rows: list[dict[str, Any]], drop: tuple[str, ...] = ()) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [name for name in rows[0] if name not in drop], extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()})


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workload", default="mnist-fc", help="a built-in one, or module:function")
    parser.add_argument("--settings", type=json.loads, default={}, help="its settings as JSON")
    parser.add_argument("--noise", type=float, default=0.2, help="the share of the labels that is flipped")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=0.3)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    if asked.seeds < 2 or not 0 < asked.noise < 1 or asked.epochs < 1:
        parser.error("at least two seeds and one epoch, and a noise between 0 and 1, are needed")
    return asked


if __name__ == "__main__":
    main()
