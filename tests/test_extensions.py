"""What an extension costs: one file and one line, tried out on a copy of the package.

A new kind of extension joins by an entry in `EXTENSIONS`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

import pytest

import headrace

SEARCH = {
    "workload": {"name": "digits-logistic"},
    "training": {
        "runs": 2,
        "checkpoints": 1,
        "batch_size": 16,
        "hyperparameters": {"learning_rate": 0.1},
        "budget": {"steps": 3},
    },
    "search": {"sizes": [0.1, 0.2]},
}
EXPERIMENT = {
    "workload": {"name": "digits-logistic"},
    "grid": {"batch_size": [16]},
    "search": {"trials": 1, "space": {"learning_rate": 0.1}},
    "training": {"budget": {"steps": 3}},
}


@dataclass(frozen=True, kw_only=True)
class Extension:
    """What is added, and how it is seen to work.

    Attributes:
        file: The new file, within the package.
        source: What it holds.
        registry: The file in which its line stands.
        line: The line, which is put at the end of the registry's first dict.
        works: A program that fails where the extension does not work; it may use `EXPERIMENT` and `SEARCH`.
    """

    file: str
    source: str
    registry: str
    line: str
    works: str


EXTENSIONS = {
    "score": Extension(
        file="histories/surprise.py",
        source="""
            from headrace.histories.score import filled, score

            @score
            def surprise(history):
                return filled(-history.mean("probability").log(), history.count > 0)
            """,
        registry="histories/registry.py",
        line='"surprise": ScoreEntry(home="headrace.histories.surprise:surprise", hard="high"),',
        works="""
            import torch
            from headrace import History, Experiment, policies, scores

            history = History(2)
            history.record(torch.tensor([0, 1]), torch.tensor([[0.0, 3.0], [0.0, 0.0]]), torch.tensor([1, 1]))
            easy, hard = scores.surprise(history)
            assert 0 < easy < hard, (easy, hard)
            assert scores.SCORES["surprise"].hard == "high"
            known = policies.Known(num_examples=2, history=history)
            assert policies.sample(score="surprise").assess(known, None).tolist() == [easy, hard]
            """,
    ),
    "acquisition function": Extension(
        file="ensembles/doubt.py",
        source="""
            from headrace.ensembles.acquisition import least_confidence

            def doubt(statistics):
                return least_confidence(statistics) ** 2
            """,
        registry="ensembles/registry.py",
        line='"doubt": AcquisitionEntry(home="headrace.ensembles.doubt:doubt"),',
        works="""
            import numpy as np
            from headrace import Subset, SubsetSearch, acquisition
            from headrace.search.runner import search_subset

            made = {}
            for name in ("doubt", "least_confidence"):
                search = SEARCH["search"] | {"acquisition": [name]}
                spec = SubsetSearch.from_dict(SEARCH | {"search": search})
                made[name] = Subset.load(search_subset(spec, name, processes=1).subset)
            doubt, known = made.values()
            chosen = known.rounds > 0
            assert chosen.any() and not np.array_equal(doubt.scores, known.scores)
            assert acquisition.doubt is acquisition.FUNCTIONS["doubt"]
            """,
    ),
    "selection strategy": Extension(
        file="selection/lowest.py",
        source="""
            import numpy as np
            from headrace.selection._base import check_scores, resolve_pool

            def lowest(scores, count, *, from_rank=0, candidates=None):
                values = check_scores(scores)
                pool = resolve_pool(len(values), count, candidates)
                return pool[np.argsort(values[pool], kind="stable")][from_rank : from_rank + count]
            """,
        registry="selection/registry.py",
        line='"lowest": Strategy(home=_ROOM + "lowest:lowest", by=("scores",), '
        'settings={"from_rank": Setting(default=0, least=0, most=9)}),',
        works="""
            import numpy as np
            from headrace import Subset, SubsetSearch, selection
            from headrace.errors import InputErrors
            from headrace.search.runner import search_subset

            assert selection.lowest([3.0, 1.0, 2.0], 2).tolist() == [1, 2]
            def asked(rank):
                search = SEARCH["search"] | {"select": {"name": "lowest", "from_rank": rank}}
                return SubsetSearch.from_dict(SEARCH | {"search": search})

            made = {}
            for rank in (0, 5):
                spec = asked(rank)
                assert SubsetSearch.from_dict(spec.model_dump(exclude_none=True)) == spec
                made[rank] = Subset.load(search_subset(spec, str(rank), processes=1).subset)
            first, later = (np.sort(one.scores[one.rounds > 0]) for one in made.values())
            assert len(first) and np.array_equal(first[5:], later[:-5])
            try:
                asked(10)
            except InputErrors as error:
                assert "from_rank" in str(error)
            else:
                raise AssertionError("a setting above its limit was taken")
            """,
    ),
    "policy": Extension(
        file="policies/evens.py",
        source="""
            from dataclasses import dataclass
            from headrace.policies.plain import Shuffle

            @dataclass(frozen=True)
            class Evens(Shuffle):
                step: int = 2
            """,
        registry="policies/registry.py",
        line='"evens": PolicyEntry(home=_ROOM + "evens:Evens"),',
        works="""
            from headrace import Experiment, policies

            assert policies.evens(step=3).step == 3
            grid = EXPERIMENT["grid"] | {"policy": ["shuffle", "evens"]}
            search = EXPERIMENT["search"] | {"policy": {"evens": {"step": 4}}}
            Experiment.from_dict(EXPERIMENT | {"grid": grid, "search": search})
            """,
    ),
    "optimizer": Extension(
        file="training/adagrad.py",
        source="""
            import torch

            def adagrad(parameters, recipe, **common):
                return torch.optim.Adagrad(parameters, eps=recipe.epsilon, **common)
            """,
        registry="training/registry.py",
        line='"adagrad": OptimizerEntry(home="headrace.training.adagrad:adagrad", words="Adagrad", '
        'uses=frozenset({"epsilon"})),',
        works="""
            import torch
            from headrace import Experiment
            from headrace.training.optimizers import build_optimizer
            from headrace.training.recipe import Recipe

            space = EXPERIMENT["search"]["space"] | {"epsilon": 1e-3}
            search = EXPERIMENT["search"] | {"space": space}
            grid = EXPERIMENT["grid"] | {"optimizer": ["adagrad"]}
            Experiment.from_dict(EXPERIMENT | {"grid": grid, "search": search})
            recipe = Recipe(optimizer="adagrad", learning_rate=0.1, epsilon=1e-3)
            made = build_optimizer([torch.nn.Parameter(torch.ones(2))], recipe)
            assert isinstance(made, torch.optim.Adagrad) and made.defaults["eps"] == 1e-3
            """,
    ),
    "workload": Extension(
        file="workloads/digits_wide.py",
        source="""
            from dataclasses import replace
            from headrace.workloads.digits import digits_logistic

            def digits_wide(goal: float = 0.5):
                return replace(digits_logistic(), name="digits-wide", goal=goal)
            """,
        registry="workloads/registry.py",
        line='"digits-wide": Entry(home=_ROOM + "digits_wide:digits_wide"),',
        works="""
            from headrace import Experiment
            from headrace.workloads import load_workload

            workload = {"name": "digits-wide", "settings": {"goal": 0.25}}
            Experiment.from_dict(EXPERIMENT | {"workload": workload})
            assert load_workload("digits-wide", {"goal": 0.25}).goal == 0.25
            """,
    ),
    "engine": Extension(
        file="engines/careful.py",
        source="""
            from headrace.engines.inline import InlineEngine

            class CarefulEngine(InlineEngine):
                def finished(self):
                    (worker, result), = super().finished()
                    with open("careful.txt", "a") as file:
                        file.write("done\\n")
                    return [(worker, result)]
            """,
        registry="engines/registry.py",
        line='"careful": Entry(home=_ROOM + "careful:CarefulEngine"),',
        works="""
            from pathlib import Path
            from headrace import Experiment
            from headrace.errors import InputError
            from headrace.experiments.runner import run

            made = {}
            for engine in ("inline", "careful"):
                stored = run(Experiment.from_dict(EXPERIMENT), engine, engine=engine)
                made[engine] = [record.model_copy(update={"seconds": 0}) for record in stored.records]
            assert made["inline"] == made["careful"] and made["inline"]
            assert Path("careful.txt").read_text().count("done") >= 2
            try:
                run(Experiment.from_dict(EXPERIMENT), "other", engine="carefull")
            except InputError as error:
                assert "careful" in str(error)
            else:
                raise AssertionError("an unknown engine was taken")
            """,
    ),
    "figure": Extension(
        file="report/figures/trials_made.py",
        source="""
            from functools import partial
            from headrace.report.canvas import Box, linear_axis, panel_grid
            from headrace.report.figures._base import Picture, Words
            from headrace.report.tables import Table

            WORDS = Words(title="Trials made", caption=("How many trials each study made.",))

            def figures(analysis):
                rows = [(row["study"], row["complete"]) for row in analysis.steps.to_dicts()]
                table = Table(columns=("study", "trials"), rows=tuple(rows))
                draw_them = partial(draw, [count for _, count in rows])
                said = f"{WORDS.title}: {len(rows)} studies."
                made = {"name": "trials-made", "words": WORDS, "description": said}
                return [Picture(**made, table=table, draw=draw_them)]

            def draw(counts, layout):
                canvas, (axes,) = panel_grid(layout, 1, columns=1, height=200, box=Box())
                linear_axis(axes, 0, max(counts) + 1)
                axes.plot(range(len(counts)), counts, marker="o")
                return canvas.figure
            """,
        registry="report/figures/registry.py",
        line='"trials-made": FigureEntry(home=_ROOM + "trials_made:figures", part="experiment"),',
        works="""
            from pathlib import Path
            from headrace import Experiment
            from headrace.analysis.results import analyse
            from headrace.experiments.runner import run
            from headrace.report import write_report

            stored = run(Experiment.from_dict(EXPERIMENT), "out", processes=1)
            page = write_report(analyse(stored), Path("out"))
            assert "How many trials each study made." in page.read_text()
            for form in ("svg", "pdf", "png", "csv"):
                assert (Path("out/figures") / f"trials-made.{form}").stat().st_size > 20
            """,
    ),
}
LAST_OF_DICT = re.compile(r"(?ms)(^\w+: dict\[str, \w+\] = \{\n.*?)^\}")


def add(extension: Extension, package: Path) -> None:
    """One file and one line."""
    file, registry = package / extension.file, package / extension.registry
    assert not file.exists()
    file.write_text(dedent(extension.source))
    assert "\n" not in extension.line
    text, found = LAST_OF_DICT.subn(
        lambda match: f"{match[1]}    {extension.line}\n}}", registry.read_text(), 1
    )
    assert found == 1, f"{extension.registry} has no dict of entries"
    registry.write_text(text)


@pytest.mark.parametrize("kind", EXTENSIONS)
def test_it_costs_one_file_and_one_line(kind: str, tmp_path: Path) -> None:
    package = Path(headrace.__file__).parent
    copy = tmp_path / "src" / "headrace"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    add(EXTENSIONS[kind], copy)
    program = f"EXPERIMENT, SEARCH = {EXPERIMENT!r}, {SEARCH!r}\n{dedent(EXTENSIONS[kind].works)}"
    # Worker processes import the program.
    (tmp_path / "program.py").write_text(f"if __name__ == '__main__':\n{indent(program, '    ')}")
    ended = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
