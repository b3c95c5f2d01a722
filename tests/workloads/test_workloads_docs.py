"""Every example of docs/workloads.md is run as it stands."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import polars as pl
import pytest
import torch
from PIL import Image

from headrace.workloads import NAMES, load_workload
from headrace.workloads.locations import DATA_SETS

DOCUMENT = Path(__file__).parents[2] / "docs" / "workloads.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


def make_data() -> None:
    """What the examples read: pictures of two classes, and a Parquet file of them."""
    for number, name in enumerate(("cat", "dog")):
        folder = Path("data/pets") / name
        folder.mkdir(parents=True)
        for grey in range(10):
            Image.new("RGB", (40, 30), (grey, 100 * number, 0)).save(folder / f"{grey}.png")
    contents = [path.read_bytes() for path in sorted(Path("data/pets").rglob("*.png"))]
    Path("data/hub").mkdir()
    table = pl.DataFrame({"image": contents, "label": [index // 10 for index in range(20)]})
    table.write_parquet("data/hub/train-00000-of-00001.parquet")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split("def ")[-1].split("(")[0])
def test_examples_run(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    make_data()
    function = re.findall(r"^def (\w+)\(", example, flags=re.MULTILINE)[-1]
    Path(f"documented_{function}.py").write_text(example)
    workload = load_workload(f"documented_{function}:{function}")
    inputs, targets = workload.train.fetch(torch.tensor([0, 1]))
    outputs = workload.build_model()(inputs)
    assert workload.loss(outputs, targets).shape == (2,)
    assert workload.metric(outputs, targets).shape == (2,)


def test_the_document_names_every_workload_and_data_set() -> None:
    cells = set(re.findall(r"`([^`\n]+)`", TEXT))
    widths = {f"fashion-mnist-simple-cnn{width}" for width in ("-narrow", "-wide")}
    assert set(NAMES) - widths <= cells
    assert {"-narrow", "-wide"} <= cells
    assert set(DATA_SETS) <= cells


@pytest.mark.parametrize("name", ["digits-logistic", "digits-mlp"])
def test_the_table_is_right_on_the_digits(name: str) -> None:
    workload = load_workload(name)
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{name}`"))
    cells = [cell.strip() for cell in row.split("|")]
    assert workload.test is not None
    assert cells[3] == f"{len(workload.train):,} / {len(workload.validation)} / {len(workload.test)}"
    assert cells[5] == f"{sum(p.numel() for p in workload.build_model().parameters()):,}"
    assert float(cells[6]) == workload.goal
