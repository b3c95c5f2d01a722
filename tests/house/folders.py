"""Folders of an experiment and of two searches: what is asked, how they are made, and how two are compared.

Everything here uses the command line and the file formats alone, so that it outlives every inner change: the
folders made by one version are finished by another. `make_folders.py` stores such folders,
`test_folders_of_before.py` goes on with them, and `tests/tools/same_bytes.py` holds two versions against each
other on one machine.
"""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from tests.house.comparing import EMPTY_SVG

EXPERIMENT, TRANSFER, PEOPLE = "experiment", "transfer", "people"
SUBSET_FILE = "chosen.parquet"
"""The subset file of the experiment's grid, beside it: what the search with transfer chose."""
ANSWERS = ("answers-0.csv", "answers-1.csv", "answers-2.csv")
"""What people answered, round by round."""

_SEARCHED = """
[workload]
name = "digits-mlp"
settings = { hidden = [8] }

[training]
runs = 2
checkpoints = 2
batch_size = 16
hyperparameters = { learning_rate = 0.1 }
budget = { steps = 30 }
device = "cpu"
"""
INPUTS: dict[str, str] = {
    f"{EXPERIMENT}.toml": f"""
seed = 3

[workload]
name = "digits-mlp"
goal = 0.3
settings = {{ hidden = [8] }}

[grid]
batch_size = [16, 64]
policy = ["shuffle", "sample-difficulty"]
subset = ["full", "{SUBSET_FILE}"]

[search]
trials = 2
max_trials = 3

[search.space]
learning_rate = {{ low = 0.1, high = 1.0, scale = "log" }}

[training]
budget = {{ steps = 150 }}
evaluation = {{ ratio = 1.3 }}
checkpoints = 2
device = "cpu"

[report]
portrait_epochs = 3
""",
    f"{TRANSFER}.toml": f"""
seed = 7
{_SEARCHED}
[search]
sizes = [0.1, 0.2]
methods = [{{ acquisition = "mutual_information" }}, {{ select = {{ name = "k_center" }} }}]

[comparison]
seeds = 2
baselines = ["random", "full"]

[[transfer]]
workload = {{ name = "digits-logistic" }}
hyperparameters = {{ learning_rate = 0.2 }}
""",
    f"{PEOPLE}.toml": f"""
seed = 5
{_SEARCHED}
[search]
sizes = [0.05, 0.1, 0.2]
acquisition = ["entropy"]
labels = "hidden"
oracle = "people"
""",
}


# Commands


def command(name: str, folder: Path, *, answers: Path | None = None) -> list[str]:
    """What runs or resumes an experiment or a search whose file lies beside `folder`."""
    verb = "run" if name == EXPERIMENT else "subset"
    given = [] if answers is None else ["--answers", str(answers)]
    return [verb, str(folder.parent / f"{name}.toml"), "--out", str(folder), *given]


def environment(src: Path) -> dict[str, str]:
    """In which the code of `src` computes the same at every call."""
    return os.environ | {"PYTHONPATH": str(src), "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}


_UNDRAWN = f"""
from matplotlib.figure import Figure
Figure.savefig = lambda self, file, **_: file.write({EMPTY_SVG})
from headrace.cli import main
main()
"""


def headrace(src: Path, arguments: Sequence[str], *, drawn: bool = True) -> str:
    """Call the command line of the code in `src`; what it printed.

    Args:
        src: The folder in which the package lies.
        arguments: Those of the command line.
        drawn: Whether figures are drawn.

    Raises:
        RuntimeError: It failed.
    """
    done = subprocess.run(
        [sys.executable, *(("-m", "headrace") if drawn else ("-c", _UNDRAWN)), *arguments],
        env=environment(src),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"headrace {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def killed(src: Path, arguments: Sequence[str], enough: Callable[[], bool]) -> None:
    """Call the command line and kill it, workers and all, as soon as there is `enough` in its folder.

    Raises:
        RuntimeError: It ended before.
    """
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "headrace", *arguments],
            env=environment(src),
            stdout=subprocess.DEVNULL,
            stderr=told,
            start_new_session=True,
        )
        while not enough():
            if process.poll() is not None:
                told.seek(0)
                shown = f"headrace {' '.join(arguments)} ended before it could be killed"
                raise RuntimeError(f"{shown}, with {process.returncode}:\n{told.read()}")
            time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _gone(process.pid)


def _gone(group: int) -> None:
    """Wait for a killed command's workers: until they have ended, they may still hold the folder."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            break
        time.sleep(0.02)


def done_jobs(name: str, folder: Path) -> int:
    """How many trials or runs are stored."""
    pattern = "studies/*/*.json" if name == EXPERIMENT else "runs/*/run.json"
    return len(list(folder.glob(pattern)))


# Folders


def write_inputs(place: Path) -> None:
    """Write the files of the experiment and of the searches."""
    place.mkdir(parents=True, exist_ok=True)
    for name, text in INPUTS.items():
        (place / name).write_text(text.lstrip(), encoding="utf-8")


def interrupt(src: Path, name: str, folder: Path, jobs: int, *, processes: int = 1) -> None:
    """Begin an experiment or a search in `folder`, and kill it once it has stored some trials or runs."""
    arguments = [*command(name, folder), "--processes", str(processes)]
    killed(src, arguments, lambda: done_jobs(name, folder) >= jobs)


def finish(src: Path, name: str, folder: Path, *, processes: int = 1, drawn: bool = True) -> None:
    """Run it to its end, or resume it; people must have been asked and have answered before."""
    headrace(src, [*command(name, folder), "--processes", str(processes)], drawn=drawn)


def ask_people(
    src: Path, folder: Path, rounds: Sequence[int], *, processes: int = 1, drawn: bool = True
) -> None:
    """Take what they answered in these rounds; the search then waits for the next, or ends.

    Answers that are not there yet are made: everybody sees the example's number in tens.
    """
    many = ["--processes", str(processes)]
    if not folder.exists():
        headrace(src, [*command(PEOPLE, folder), *many], drawn=drawn)
    for number in rounds:
        answers = folder.parent / ANSWERS[number]
        if not answers.exists():
            _answer(folder / "label" / f"round-{number}.csv", answers)
        headrace(src, [*command(PEOPLE, folder, answers=answers), *many], drawn=drawn)


def _answer(asked: Path, answers: Path) -> None:
    with asked.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with answers.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "label"])
        writer.writeheader()
        writer.writerows(row | {"label": str(int(row["index"]) // 120)} for row in rows)


def copied(folder: Path, to: Path) -> Path:
    """A copy of a folder under another name beside it, or elsewhere."""
    shutil.copytree(folder, to)
    return to


# Comparisons


# The machine


def probe() -> dict[str, str]:
    """What the bytes of a folder depend on beside Headrace: versions, and how this processor rounds.

    Two machines with equal probes train the fixtures' network to the same bits.
    """
    names = ("torch", "numpy", "scipy", "scikit-learn", "polars", "matplotlib")
    from headrace import __version__

    return {"training": _training(), "headrace": __version__, **{name: version(name) for name in names}}


def _training() -> str:
    import torch
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    inputs = torch.tensor(pixels / 16.0, dtype=torch.float32)
    targets = torch.tensor(labels, dtype=torch.int64)
    generator = torch.Generator().manual_seed(0)
    weights = [(torch.randn(shape, generator=generator) / 8).requires_grad_() for shape in ((64, 8), (8, 10))]
    for size in (16, 64, 1000):
        for _ in range(40):
            batch = torch.randint(len(inputs), (size,), generator=generator)
            outputs = (inputs[batch] @ weights[0]).relu() @ weights[1]
            loss = torch.nn.functional.cross_entropy(outputs, targets[batch])
            for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                weight.data -= 0.3 * gradient
    digest = hashlib.sha256()
    for weight in weights:
        digest.update(weight.detach().numpy().tobytes())
    return digest.hexdigest()
