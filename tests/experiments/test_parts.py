"""Parts of an experiment, trained apart and put together: the bytes of one run, or one clear error."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.analysis.results import analyse, write_results
from headrace.cli.app import execute
from headrace.engines.registry import ENGINES
from headrace.errors import InputError
from headrace.experiments.runner import complete, run
from headrace.specs.experiment import Experiment
from headrace.specs.shares import Share
from headrace.store import experiments as store
from headrace.store import merging
from headrace.store.checkpoints import members

from .inline_engine import Given, InlineEngine

pytestmark = pytest.mark.usefixtures("tiny")
OF = 3
CHANGES = {
    "training.checkpoints": 2,
    "training.budget": {"steps": 24},
    "report.portrait_epochs": 1.0,
    "search.trials": 3,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment `whole`, run at once, and its parts `1` to `3`."""
    from .conftest import CONTENT, merged

    place = tmp_path_factory.mktemp("parts")
    asked = Experiment.from_dict(merged(CONTENT, CHANGES))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        patch.setitem(ENGINES, "local", Given(InlineEngine))
        run(asked, place / "whole", processes=1)
        for number in range(1, OF + 1):
            run(asked, place / str(number), processes=number, share=Share(number=number, of=OF))
    return place


@pytest.fixture
def parts(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Copies of the parts, which may be changed."""
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    monkeypatch.chdir(tmp_path)
    # Drawing takes most of the time, and a report is a function of what is compared here.
    monkeypatch.setattr("headrace.report.write_report", lambda _, directory: directory / "report.html")
    return [Path(shutil.copytree(made / str(number), tmp_path / str(number))) for number in range(1, OF + 1)]


def concluded(folder: Path) -> dict[str, bytes]:
    """results.json, and everything else that one run and a merge must have the same."""
    write_results(analyse(store.load(folder)), folder)
    kept = ("results.json", "workload.json", "experiment.toml")
    found = {name: (folder / name).read_bytes() for name in kept}
    # Other trials may be trained, and kept, a little further than was needed.
    return found | {str(p.relative_to(folder)): p.read_bytes() for p in members(store.load(folder))}


def test_merged_parts_are_one_run_to_the_byte(made: Path, parts: list[Path], tmp_path: Path) -> None:
    before = {path: path.read_bytes() for part in parts for path in part.rglob("*") if path.is_file()}
    assert execute(["merge", "all", "3", "1", "2"]) == 0
    assert concluded(tmp_path / "all") == concluded(made / "whole")
    assert {p: p.read_bytes() for part in parts for p in part.rglob("*") if p.is_file()} == before
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "all").rglob("0*.json")}
    assert execute(["merge", "all", "1", "2", "3"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "all").rglob("0*.json")} == times
    asked = store.read_experiment(made / "whole")
    run(asked, tmp_path / "all", processes=1)
    assert concluded(tmp_path / "all") == concluded(made / "whole")


@pytest.mark.slow
def test_merged_parts_are_replicated(made: Path, tmp_path: Path) -> None:
    asked = Experiment.model_validate(
        store.read_experiment(made / "whole").model_dump() | {"replicates": {"seeds": 2}}
    )
    run(asked, tmp_path / "whole", processes=1, engine="inline")
    for number in (1, 2):
        share = Share(number=number, of=2)
        run(asked, tmp_path / str(number), processes=1, engine="inline", share=share)
    merging.merge(tmp_path / "all", [tmp_path / "1", tmp_path / "2"])
    complete(tmp_path / "all", processes=1, engine="inline")
    assert concluded(tmp_path / "all") == concluded(tmp_path / "whole")


@pytest.mark.slow
def test_the_report_of_merged_parts_is_that_of_one_run(made: Path, tmp_path: Path) -> None:
    merging.merge(tmp_path / "all", [made / "2", made / "3", made / "1"])
    complete(tmp_path / "all", processes=1, engine="inline")
    shutil.copytree(made / "whole", tmp_path / "whole")
    for name in ("all", "whole"):
        assert execute(["report", str(tmp_path / name)]) == 0
    assert (tmp_path / "all" / "report.html").read_bytes() == (
        tmp_path / "whole" / "report.html"
    ).read_bytes()


def test_a_merge_that_is_killed_anywhere_continues(
    made: Path, parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed_after(writes: int) -> None:
        left = [writes]

        def counted(name: str, original: Callable[..., object]) -> Callable[..., object]:
            def write(*arguments: object, **options: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
                return original(*arguments, **options)

            return write

        with monkeypatch.context() as patch:
            for name in ("write_trials", "write_whole", "write_record", "write_toml", "remove"):
                patch.setattr(merging, name, counted(name, getattr(merging, name)))
            merging.merge(tmp_path / "all", parts)

    writes = 0
    while True:
        try:
            killed_after(writes)
            break
        except Killed:
            writes += 7
            if not (tmp_path / "all" / "experiment.toml").exists() and writes > 7:
                with pytest.raises(InputError, match="a merge into this folder was interrupted"):
                    store.load(tmp_path / "all")
                assert execute(["run", str(made / "whole" / "experiment.toml"), "--out", "all"]) == 2
    assert writes > 20
    complete(tmp_path / "all", processes=1)
    assert concluded(tmp_path / "all") == concluded(made / "whole")
    assert not (tmp_path / "all" / "merging.json").exists()


def _twice(parts: list[Path], monkeypatch: pytest.MonkeyPatch) -> str:
    shutil.rmtree(parts[1])
    shutil.copytree(parts[0], parts[1])
    return "are both part 1/3"


def _other_experiment(parts: list[Path], monkeypatch: pytest.MonkeyPatch) -> str:
    asked = store.read_experiment(parts[1])
    shutil.rmtree(parts[1])
    other = asked.model_copy(update={"seed": 4})
    run(other, parts[1], processes=1, share=Share(number=2, of=OF))
    return "another experiment than 1; they differ in seed (there 3, here 4)"


def _other_division(parts: list[Path], monkeypatch: pytest.MonkeyPatch) -> str:
    asked = store.read_experiment(parts[1])
    shutil.rmtree(parts[1])
    run(asked, parts[1], processes=1, share=Share(number=2, of=2))
    return "is one of 2 parts, and 1 is one of 3: they overlap"


def _other_data(parts: list[Path], monkeypatch: pytest.MonkeyPatch) -> str:
    import tiny_workload

    asked = store.read_experiment(parts[1])
    shutil.rmtree(parts[1])
    original = tiny_workload._blobs
    monkeypatch.setattr(tiny_workload, "_blobs", lambda examples, name: original(examples, f"other {name}"))
    run(asked, parts[1], processes=1, share=Share(number=2, of=OF))
    return "was trained on another workload than 1: the train examples (other inputs or targets)"


def _missing_study(parts: list[Path], monkeypatch: pytest.MonkeyPatch) -> str:
    trial = next((parts[1] / "studies").rglob("00000.json"))
    trial.unlink()
    again = "headrace run 2/experiment.toml --out 2 --part 2/3"
    return f"2: 1 of its 1 studies are not decided yet. Finish it: {again}"


def _foreign_study(parts: list[Path], monkeypatch: pytest.MonkeyPatch) -> str:
    (study,) = (parts[1] / "studies").iterdir()
    shutil.copytree(study, parts[2] / "studies" / study.name)
    return "which belongs to another part than 3/3"


def _damaged(parts: list[Path], monkeypatch: pytest.MonkeyPatch) -> str:
    table = sorted(parts[1].rglob("*.parquet"))[-1]
    table.write_bytes(table.read_bytes()[:-9])
    return "is truncated or was altered"


def _whole(parts: list[Path], monkeypatch: pytest.MonkeyPatch) -> str:
    (parts[1] / "share.json").unlink()
    return "2: holds a whole experiment and is not a part of one"


def _damaged_share(parts: list[Path], monkeypatch: pytest.MonkeyPatch) -> str:
    file = parts[1] / "share.json"
    file.write_bytes(file.read_bytes().replace(b'"number":2', b'"number":3'))
    return "2/share.json: is truncated or was altered"


def _no_folder(parts: list[Path], monkeypatch: pytest.MonkeyPatch) -> str:
    shutil.rmtree(parts[1])
    return "2: there is no experiment in this folder"


SPOILED = [
    _twice, _other_experiment, _other_division, _other_data, _missing_study, _foreign_study, _damaged, _whole,
    _damaged_share, _no_folder,
]  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILED)
def test_parts_that_do_not_go_together(
    spoil: Callable[[list[Path], pytest.MonkeyPatch], str],
    parts: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = spoil(parts, monkeypatch)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert execute(["merge", "all", "1", "2", "3"]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_part_that_is_missing_is_named_with_its_command(
    parts: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["merge", "all", "1", "3"]) == 2
    error = capsys.readouterr().err
    assert "part 2/3 is missing. Make it: " in error
    (command,) = (line.partition("Make it: headrace ")[2] for line in error.splitlines() if "Make it" in line)
    assert execute(command.split()) == 0
    assert "Part 2/3 is finished: 1 of 4 studies are decided" in capsys.readouterr().out
    assert execute(["merge", "all", "1", "part-2-of-3", "3"]) == 0


def test_folders_that_cannot_be_merged_into(
    made: Path, parts: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["merge", "1", "1", "2", "3"]) == 2
    assert "1: the merged folder cannot be one of the parts" in capsys.readouterr().err
    assert execute(["merge", "all", "1", "2", "3", "2"]) == 2
    assert "2: the same folder is given twice" in capsys.readouterr().err
    shutil.copytree(made / "whole", "all")
    next(Path("all").rglob("00001.json")).unlink()
    assert execute(["merge", "all", "1", "2", "3"]) == 2
    assert "all: holds an experiment already, with other trials than these parts" in capsys.readouterr().err
    (Path("all") / "experiment.toml").unlink()
    assert execute(["merge", "all", "1", "2", "3"]) == 2
    assert "all: holds work of an experiment (studies/" in capsys.readouterr().err


def test_a_folder_stays_with_its_part(
    made: Path, parts: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(made / "whole" / "experiment.toml")
    assert execute(["run", file, "--out", "1"]) == 2
    assert "1: holds part 1/3 of the experiment; got 'no --part'. To resume it, give --part 1/3;" in (
        capsys.readouterr().err
    )
    assert execute(["run", file, "--out", "1", "--part", "2/3"]) == 2
    assert execute(["run", file, "--out", str(made / "whole"), "--part", "1/3"]) == 2
    assert "holds the whole experiment" in capsys.readouterr().err
    assert execute(["run", file, "--out", "4", "--part", "4/5"]) == 2
    assert "a part needs at least one study, and the experiment has 4; got '4/5'" in capsys.readouterr().err
    assert not Path("4", "experiment.toml").exists()
    larger = store.read_experiment(made / "whole").model_dump()
    larger["search"]["trials"] = 5
    Path("larger.toml").write_text(Experiment.model_validate(larger).to_toml())
    assert execute(["run", "larger.toml", "--out", "1", "--part", "1/3", "--extend"]) == 2
    assert "A part cannot be extended, because the studies are dealt out" in capsys.readouterr().err
    assert execute(["run", file, "--out", "1", "--part", "1/3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["part"], found["of"], found["finished"]) == (1, 3, True)
    assert execute(["status", "1", "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert state["finished"]
    assert [study["study"] for study in state["studies"]] == found["studies"]


SCRIPT = """
import sys
import time
from headrace.cli.app import main
if __name__ == "__main__":
    main(sys.argv[1:])
"""


@pytest.mark.slow
def test_sigterm_to_a_run_and_all_its_workers_leaves_a_part_that_resumes(made: Path, tmp_path: Path) -> None:
    """As SLURM ends a job: every process of it gets the signal."""
    file = tmp_path / "slow.toml"
    asked = store.read_experiment(made / "whole")
    slow = asked.workload.model_copy(update={"settings": {"pause": 0.02}})
    file.write_text(asked.model_copy(update={"workload": slow}).to_toml())
    (tmp_path / "main.py").write_text(SCRIPT)
    command = [sys.executable, "main.py", "run", str(file), "--out", "1", "--part", "1/3", "--processes", "2"]
    environment = os.environ | {"PYTHONPATH": f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"}

    def started() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, start_new_session=True
        )

    process = started()
    while not list(tmp_path.glob("1/studies/*/*.json")):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert error.splitlines()[-1] == b"headrace: interrupted; the same command continues from here"
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("1/studies/*/*.json")}
    again = started()
    _, error = again.communicate(timeout=280)
    assert again.returncode == 0, error
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
