"""Under torchrun the first process searches, all of them work, and the bytes are those of one process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.search.runner import search_subset
from headrace.specs import toml
from headrace.specs.search import SubsetSearch

pytestmark = pytest.mark.slow


def under_torchrun(folder: Path, content: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    (folder / "search.toml").write_text(toml.dumps(content))
    home = str(Path(__file__).parent)
    paths = os.pathsep.join([home, *(path for path in sys.path if path)])
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*launch, str(Path(sys.executable).parent / "headrace"), "subset", "search.toml", "--out", "run"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_two_processes_come_to_the_bytes_of_one(
    table: Callable[..., dict[str, Any]], spec: Callable[..., SubsetSearch], tmp_path: Path
) -> None:
    changes = {"search.select": {"name": "badge"}, "comparison": {"seeds": 2}}
    done = under_torchrun(tmp_path, table(changes))
    assert done.returncode == 0, done.stderr
    search_subset(spec(changes), tmp_path / "one", processes=1)
    names = sorted(str(p.relative_to(tmp_path / "one")) for p in (tmp_path / "one").glob("**/*.parquet"))
    assert len(names) > 8
    for name in names:
        if name.startswith("subset"):
            assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
        assert (tmp_path / "run" / name).is_file()


def test_an_error_in_any_process_ends_them_all(table: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    done = under_torchrun(tmp_path, table({"training.hyperparameters": {"learning_rate": 1e9}}))
    assert done.returncode != 0
    assert done.stderr.count("a training run diverged") == 1
