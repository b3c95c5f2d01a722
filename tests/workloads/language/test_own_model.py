"""A user's own language model: nanoGPT's model.py unchanged, and batches that are dicts."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from headrace import Workload, random
from headrace.errors import InputError
from headrace.subsets.view import Part, checksum
from headrace.training.data import MapData
from headrace.training.losses import IGNORED, token_cross_entropy
from headrace.training.per_example import per_example_noise
from headrace.workloads import load_workload
from headrace.workloads.batchwise import batchwise
from headrace.workloads.identity import identify
from headrace.workloads.inspection import inspected

from .documented import MOST_LINES, written


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, from which modules are imported and forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("model", "my_model", "my_data", "my_rows"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def stated(workload: Workload) -> Workload:
    with random.torch_stream(0, "test"):
        return inspected(workload, workload.build_model())


def test_nanogpts_model_runs_as_documented(folder: Path) -> None:
    shutil.copy(Path(__file__).parent / "nano_gpt.py", folder / "model.py")
    assert written("my_model", folder) <= MOST_LINES
    workload = stated(load_workload("my_model:gpt", {"window": 16}))
    assert workload.kind == "tokens"
    assert workload.outputs == len(set((folder / "input.txt").read_text(encoding="utf-8")))
    model = workload.build_model()
    inputs, targets = workload.train.fetch(torch.arange(4))
    own = model.model(inputs, targets)[1]
    assert workload.loss(model(inputs), targets).mean().item() == pytest.approx(own.item(), rel=1e-5)


ROWS = """
import torch

config = None


def rows(split):
    stream = torch.Generator().manual_seed(len(split))
    tokens = torch.randint(0, 7, (40 if split == "train" else 12, 6), generator=stream)
    mask = torch.ones(5, dtype=torch.long)
    return [{"input_ids": row[:-1], "attention_mask": mask, "labels": row[1:], "id": "x"} for row in tokens]
"""


class Keywords(nn.Module):
    """Called by keywords, and returns an object, as models of Hugging Face transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 7)

    def forward(self, *, input_ids: Tensor, attention_mask: Tensor) -> Any:
        class Output:
            logits = self.table(input_ids) * attention_mask.unsqueeze(-1)

        return Output()


def by_dicts(folder: Path, **changes: Any) -> Workload:
    (folder / "my_data.py").write_text(ROWS, encoding="utf-8")
    from my_data import rows  # pyright: ignore[reportMissingImports]

    keys = (("input_ids", "attention_mask"), "labels")
    given: dict[str, Any] = {
        "train": MapData(rows("train"), keys=keys),
        "validation": MapData(rows("validation"), keys=keys),
        "build_model": Keywords,
        "call": lambda model, batch: model(**batch).logits.transpose(1, 2),
        "loss": token_cross_entropy,
        "metric": token_cross_entropy,
        "targets": "tokens",
    }
    return Workload(name="rows", goal=1.0, **{**given, **changes})


def test_batches_of_dicts_go_all_the_way(folder: Path) -> None:
    workload = stated(by_dicts(folder))
    assert workload.outputs == 7
    inputs, targets = Part(workload.train, torch.arange(5, 40)).fetch(torch.arange(30))
    assert inputs["input_ids"].shape == targets.shape == (30, 5)

    class Plain(nn.Module):
        def __init__(self, table: nn.Embedding) -> None:
            super().__init__()
            self.table = table

        def forward(self, tokens: Tensor) -> Tensor:
            return self.table(tokens).transpose(1, 2)

    model = workload.build_model()
    noise = per_example_noise(model, inputs, targets, workload.loss)
    plain = per_example_noise(Plain(model.model.table), inputs["input_ids"], targets, workload.loss)
    assert noise == plain
    assert batchwise(workload, model)


def test_the_data_of_dicts_are_identified(folder: Path) -> None:
    workload = by_dicts(folder)
    changed = by_dicts(folder)
    changed.train.dataset[3]["attention_mask"] = torch.tensor([1, 1, 1, 1, 0])
    assert checksum(workload.train) == checksum(by_dicts(folder).train) != checksum(changed.train)
    first, other = (
        identify(one, one, spec="my_data:rows", settings={}, goal=1.0).fingerprint.train
        for one in (workload, changed)
    )
    assert first.inputs != other.inputs
    assert first.targets == other.targets


def test_what_a_model_of_dicts_lacks_is_said(folder: Path) -> None:
    with pytest.raises(InputError, match=r"call=lambda model, inputs: model\(\*\*inputs\)"):
        stated(by_dicts(folder, call=None))
    with pytest.raises(InputError, match=r"Workload\(call=lambda model, inputs: model\(inputs\)\.logits"):

        class Objects(Keywords):
            def forward(self, inputs: Any) -> Any:
                return super().forward(**inputs)

        stated(by_dicts(folder, call=None, build_model=Objects))


def test_an_item_without_a_named_input_is_named(folder: Path) -> None:
    data = MapData([{"input_ids": torch.zeros(3)}], keys=(("input_ids", "attention_mask"), "labels"))
    with pytest.raises(InputError, match="attention_mask"):
        data.fetch(torch.tensor([0]))
    assert IGNORED == -100


def test_inputs_of_other_numbers_of_rows_are_refused(folder: Path) -> None:
    def collate(items: list[Any]) -> Any:
        batch = torch.stack([item["input_ids"] for item in items])
        return {"input_ids": batch, "attention_mask": batch[:-1]}, batch

    workload = by_dicts(folder)
    data = MapData(workload.train.dataset, collate)
    with pytest.raises(InputError, match="collate must give two tensors"):
        data.fetch(torch.arange(3))
