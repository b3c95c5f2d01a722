"""The examples of other people's trainers run, and add no more lines than they promise."""

from __future__ import annotations

import runpy
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def added(name: str) -> int:
    """How many lines of an example are for Headrace."""
    lines = (EXAMPLES / name).read_text().splitlines()
    return len([line for line in lines if "# headrace" in line and "`" not in line])


def test_hugging_face_trainer(tmp_path, capsys):
    main = runpy.run_path(str(EXAMPLES / "hugging_face_trainer.py"))["main"]
    assert main(folder=str(tmp_path)) > 0.8
    assert "hardest examples" in capsys.readouterr().out
    assert added("hugging_face_trainer.py") <= 6


def test_lightning_module(capsys):
    main = runpy.run_path(str(EXAMPLES / "lightning_module.py"))["main"]
    assert main() < 0.2
    # Three of them stand in place of a line of one's own.
    assert added("lightning_module.py") <= 12
