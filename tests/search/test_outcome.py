"""`outcome.json`: the results of a search are computed again from its folder, by whoever has it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headrace.analysis.subset_search import conclude, write
from headrace.cli.subsets import report_search
from headrace.errors import DamagedError, InputError
from headrace.sealed import write_record
from headrace.specs.search import SubsetSearch
from headrace.store.chosen import CHOSEN, RECORD, read_chosen
from headrace.store.searches import FILE, SEARCH, load_search, write_asked

from .test_subset_search import HIDDEN, run

Spec = Callable[..., SubsetSearch]
SMALL = {"search.sizes": [0.25, 0.5], "training.budget": {"steps": 6}, "training.runs": 1}
COMPARED = {
    **SMALL,
    "comparison": {"seeds": 3},
    "transfer": [{"workload": {"name": "pool_workload:linear_pool"}}],
}
ELSEWHERE = """
import json, sys
sys.modules["torch"] = None
from pathlib import Path
from headrace.analysis.subset_search import conclude
from headrace.store.searches import load_search
print(json.dumps(conclude(load_search(Path("moved"))), indent=2, ensure_ascii=False))
"""


@pytest.fixture
def folder(spec: Spec, tmp_path: Path) -> Path:
    """A small search that has ended."""
    run(spec(SMALL), tmp_path / "search")
    return tmp_path / "search"


def test_the_results_are_the_same_elsewhere_without_torch_and_without_the_workload(
    spec: Spec, tmp_path: Path
) -> None:
    outcome = run(spec(COMPARED), tmp_path / "search")
    results = write(outcome)
    assert results["comparisons"]
    assert results["transfers"][0]["comparisons"]
    assert load_search(tmp_path / "search") == outcome
    shutil.move(tmp_path / "search", tmp_path / "moved")
    own = [path for path in sys.path if path and not path.startswith(str(Path(__file__).parent))]
    again = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(own)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout.strip() == (tmp_path / "moved" / "results.json").read_text(encoding="utf-8")


def test_a_search_that_waits_is_found_waiting(spec: Spec, tmp_path: Path) -> None:
    outcome = run(spec({**HIDDEN, "search.oracle": "people"}), tmp_path / "search")
    assert outcome.waiting is not None
    found = load_search(tmp_path / "search")
    assert found == outcome
    assert conclude(found) == conclude(outcome)
    assert all(task.is_file() for task in outcome.waiting.tasks)


def test_a_folder_of_an_older_version_has_no_record_of_it(folder: Path) -> None:
    (folder / FILE).unlink()
    assert load_search(folder) is None


def test_no_altered_byte_of_the_record_is_taken(folder: Path) -> None:
    path, rng = folder / FILE, np.random.default_rng(0)
    whole = path.read_bytes()
    assert load_search(folder) is not None
    for place, bit in zip(rng.integers(0, len(whole), 200), rng.integers(0, 8, 200), strict=True):
        altered = bytearray(whole)
        altered[place] ^= 1 << int(bit)
        path.write_bytes(altered)
        with pytest.raises(DamagedError, match=r"outcome\.json"):
            load_search(folder)
    for shorter in (whole[: len(whole) // 2], whole.partition(b"\n")[2], b"", b"{}", b"null"):
        path.write_bytes(shorter)
        with pytest.raises(DamagedError, match=r"outcome\.json"):
            load_search(folder)


def test_a_run_that_is_gone_or_altered_is_named(folder: Path) -> None:
    path = next(folder.glob("runs/*/run.json"))
    path.write_bytes(path.read_bytes().replace(b'"examples_trained": 4', b'"examples_trained": 9'))
    with pytest.raises(DamagedError, match=str(path)):
        load_search(folder)
    path.unlink()
    with pytest.raises(DamagedError, match=str(path)):
        load_search(folder)


def test_another_search_s_choice_is_not_taken_for_its_own(folder: Path) -> None:
    chosen = read_chosen(folder)
    assert chosen is not None
    other = chosen.model_copy(update={"key": "another"})
    write_record(folder / CHOSEN / RECORD, other, indent=1)
    with pytest.raises(InputError, match="belongs to another search"):
        load_search(folder)


def test_the_record_is_of_the_search_that_ended_and_not_of_one_that_has_begun(
    spec: Spec, folder: Path
) -> None:
    before = load_search(folder)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(spec({**SMALL, "search.sizes": [0.125, 0.5]}), folder, progress=die)
    found = load_search(folder)
    assert found == before
    assert found is not None
    assert found.spec.search.sizes == (0.25, 0.5)


def test_it_is_the_same_file_however_often_the_search_is_run(spec: Spec, folder: Path) -> None:
    before = (folder / FILE).read_bytes()
    run(spec(SMALL), folder)
    assert (folder / FILE).read_bytes() == before
    assert json.loads(before)["seconds"] > 0


def test_the_report_computes_the_results_again(
    spec: Spec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "search"
    write(run(spec(COMPARED), folder))
    before = {name: (folder / name).read_bytes() for name in ("results.json", "comparison.csv", "report.md")}
    for name in before:
        (folder / name).write_bytes(b"{}")
    assert report_search(folder, json=False) == 0
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert "earlier version" not in capsys.readouterr().err
    asked = (folder / SEARCH).read_bytes()
    (folder / SEARCH).write_bytes(b"")
    with pytest.raises(DamagedError, match=r"search\.toml: is truncated, was altered"):
        report_search(folder, json=False)
    # Another search has begun: what the page shows is that of the results.
    write_asked(folder, spec({**COMPARED, "search.sizes": [0.125, 0.25]}))
    assert report_search(folder, json=False) == 0
    assert "sizes = [0.25, 0.5]" in (folder / "report.html").read_text(encoding="utf-8")
    (folder / SEARCH).write_bytes(asked)
    (folder / FILE).unlink()
    assert report_search(folder, json=False) == 0
    assert "An earlier version made this folder" in capsys.readouterr().err
    assert (folder / "results.json").read_bytes() == before["results.json"]
