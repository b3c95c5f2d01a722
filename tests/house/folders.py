"""Folders of an experiment and of two searches: what is asked, how they are made, and how two are compared.

Everything here uses the command line and the file formats alone, so that it outlives every inner change: the
folders made by one version are finished by another. `make_folders.py` stores such folders,
`test_folders_of_before.py` goes on with them, and `tests/tools/same_bytes.py` holds two versions against each
other on one machine.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

EXPERIMENT, TRANSFER, PEOPLE = "experiment", "transfer", "people"
SUBSET_FILE = "chosen.parquet"
"""The subset file of the experiment's grid, beside it: what the search with transfer chose."""
ANSWERS = ("answers-0.csv", "answers-1.csv", "answers-2.csv")
"""What people answered, round by round."""
MADE_IN = Path("/tmp/headrace-house")
"""Where the stored folders were made: an experiment's folder names the place of its subset file."""

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

TIMES = ("seconds",)
"""Keys of JSON files, and of a Parquet file's metadata, that hold a time that was measured."""
OF_A_PROCESS = ("lock", "progress.json")
"""Files about the process that runs; the second is there only while it does, or after a kill."""
ADDED = ("outcome.json",)
"""Files that later versions add to folders of before: compared only where both versions write them."""
DRAWN_AGAIN = (".pdf", ".png")
"""Forms of a figure that hold what its SVG holds: not stored in the repository."""
PAGES = (".html", ".svg", ".md")
RESULTS = "results.json"
"""The one file of data that holds sentences too."""
EMPTY_SVG = b'<svg viewBox="0 0 1 1"></svg>'
"""What stands for a figure that is not drawn: drawing takes most of a short run's time."""
_SEALS = ("sha256", "headrace.bytes", "ARROW:schema")
"""In a Parquet file's metadata: the last holds all of them once more."""

_TIME = re.compile(rb'"(' + "|".join(TIMES).encode() + rb')"(: ?)-?[\d.]+(?:e-?\d+)?')
_SEAL = re.compile(rb'^\{"sha256":"[0-9a-f]{64}"')


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


def files(folder: Path) -> dict[str, Path]:
    """Name -> file, without those about a process."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in OF_A_PROCESS)
    return {path.relative_to(folder).as_posix(): path for path in paths}


def contents(folder: Path) -> dict[str, bytes]:
    """Name -> the very bytes, without the files about a process."""
    return {name: path.read_bytes() for name, path in files(folder).items()}


def is_drawn(name: str) -> bool:
    """Whether it is a figure, or a page in which figures stand."""
    return name.endswith((*PAGES, *DRAWN_AGAIN))


def differences(
    old: Path, new: Path, *, but: Callable[[str], bool] = lambda _: False, words: bool = False
) -> list[str]:
    """The files of two folders that differ in more than a measured time, or are in one alone.

    Args:
        old: One.
        new: The other.
        but: Names that are left out.
        words: Whether sentences may differ: pages and figures must then only be there.
    """
    there, here = files(old), files(new)
    added = {name for name in here.keys() - there.keys() if name in ADDED}
    names = [name for name in sorted((there.keys() | here.keys()) - added) if not but(name)]
    return [
        name
        for name in names
        if name not in there
        or name not in here
        or (not (words and is_drawn(name)) and _compared(there[name], words) != _compared(here[name], words))
    ]


def _compared(path: Path, words: bool) -> object:
    content = timeless(path)
    return wordless(path.name, content) if words and isinstance(content, bytes) else content


def wordless(name: str, content: bytes) -> bytes:
    """The content of a file; of results.json without its sentences, of which only the number stays."""
    if Path(name).name != RESULTS:
        return content
    return json.dumps(without_sentences(json.loads(content))).encode()


def without_sentences(content: Any) -> Any:
    """What a JSON file holds, its sentences masked: the texts that contain a blank."""
    if isinstance(content, dict):
        return {key: without_sentences(value) for key, value in content.items()}
    if isinstance(content, list):
        return [without_sentences(value) for value in content]
    return "SENTENCE" if isinstance(content, str) and " " in content else content


def timeless(path: Path) -> object:
    """A file's bytes; where it holds a measured time, all but that time and the seal that covers it.

    A Parquet file with a time is given by its columns and by the rest of its metadata.
    """
    content = path.read_bytes()
    if path.suffix == ".json":
        without, count = _TIME.subn(rb'"\1"\2TIME', content)
        return _SEAL.sub(b'{"sha256":"SEAL"', without) if count else content
    if path.suffix == ".parquet":
        metadata = pl.read_parquet_metadata(path)
        if not metadata.keys().isdisjoint(TIMES):
            return _columns(path), _timeless_metadata(metadata)
    return content


def _timeless_metadata(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key not in (*TIMES, *_SEALS)}


def _columns(path: Path) -> list[tuple[str, str]]:
    # As texts, which tell every float apart and in which a NaN is a NaN.
    return [(repr(column), repr(column.to_list())) for column in pl.read_parquet(path)]


def near(old: object, new: object, *, tolerance: float = 1e-4, size: float = 0.0) -> bool:
    """Whether two things made of lists and mappings are equal but for roundings of their floats.

    Args:
        old: One.
        new: The other.
        tolerance: Of a float, relative to the larger of itself and `size`.
        size: The largest number of the list in which they stand.
    """
    if isinstance(old, float) and isinstance(new, float):
        both_nan = math.isnan(old) and math.isnan(new)
        return both_nan or math.isclose(old, new, rel_tol=tolerance, abs_tol=tolerance * size)
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(near(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        size = max((abs(value) for value in old if isinstance(value, float)), default=0.0)
        return len(old) == len(new) and all(
            near(*pair, tolerance=tolerance, size=size) for pair in zip(old, new, strict=True)
        )
    return old == new


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
