"""The own-loop example runs as written, and adds no more lines than it promises."""

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_loop.py"


@pytest.mark.parametrize("policy", ["weight-difficulty", "importance-prediction-variance", "infobatch"])
def test_it_learns(policy, capsys):
    error = runpy.run_path(str(EXAMPLE))["main"](policy)
    assert error < 0.15
    assert policy in capsys.readouterr().out


def test_at_most_ten_lines_are_added():
    marked = [line for line in EXAMPLE.read_text().splitlines() if "# headrace" in line and "`" not in line]
    replaced = [line for line in marked if "instead of" in line or "carries" in line]
    assert len(marked) - len(replaced) <= 10
