"""`fit` on a language model's table: batch sizes in tokens, and tokens to the goal in place of steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.app import execute

SIZES = (4, 8, 16, 32, 64)
LENGTH = 64


def steps(size: int) -> int:
    return round(1000 * (1 + 20 / size))


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{size},{size * LENGTH},{steps(size)},{steps(size) * size * LENGTH}" for size in SIZES]
    Path("t.csv").write_text("\n".join(["batch_size,batch_tokens,steps,tokens", *rows]), encoding="utf-8")


def fitted(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert execute(["fit", "t.csv", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    "arguments",
    [
        ("--tokens-per-example", "64"),
        ("--batch-size", "batch_tokens"),
        ("--batch-size", "batch_tokens", "--tokens", "tokens"),
        ("--tokens-per-example", "64", "--tokens", "tokens"),
    ],
)
def test_every_way_to_say_tokens_gives_the_same_curve(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    plain, in_tokens = fitted(capsys), fitted(capsys, *arguments)
    assert "unit" not in plain
    assert in_tokens["unit"] == "tokens"
    assert plain["critical_batch_size"] == pytest.approx(20, rel=0.02)
    for key in ("critical_batch_size", "perfect_scaling_limit", "max_useful_batch_size"):
        assert in_tokens[key] == pytest.approx(LENGTH * plain[key], rel=1e-6)
    assert in_tokens["steps_min"] == pytest.approx(plain["steps_min"], rel=1e-6)


@pytest.mark.usefixtures("table")
def test_what_cannot_be_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, says in (
        (("--tokens-per-example", "0"), "--tokens-per-example: must be at least 1; got 0"),
        (("--tokens", "tokens", "--steps", "x"), "--steps: is not read if there is --tokens; got 'x'"),
        (("--tokens", "token"), "there is no column 'token'"),
    ):
        assert execute(["fit", "t.csv", *arguments]) == 2
        assert says in capsys.readouterr().err


@pytest.mark.usefixtures("table")
def test_the_printed_table_names_the_unit(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["fit", "t.csv", "--batch-size", "batch_tokens"]) == 0
    assert "batch sizes in tokens" in capsys.readouterr().out
