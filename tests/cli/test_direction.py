"""`compare` does not turn verdicts round: by their names some metrics are better when higher."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.better import HIGHER_IS_BETTER, LOWER_IS_BETTER, better_by_name
from headrace.cli.app import execute

PREFIXES = ["", "val/", "metrics.val_", "test ", "eval-", "summary.Test/", "mean_"]


@given(st.sampled_from(sorted(HIGHER_IS_BETTER)), st.sampled_from(PREFIXES), st.booleans())
def test_names_of_which_more_is_better(name: str, prefix: str, upper: bool) -> None:
    assert better_by_name(prefix + (name.upper() if upper else name)) == "higher"


@given(st.sampled_from(sorted(LOWER_IS_BETTER)), st.sampled_from(PREFIXES), st.booleans())
def test_names_of_which_less_is_better(name: str, prefix: str, upper: bool) -> None:
    assert better_by_name(prefix + (name.upper() if upper else name)) == "lower"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("valAccuracy", "higher"),
        ("top1_accuracy", "higher"),
        ("accuracy_error", "lower"),
        ("neg_log_loss", None),
        ("minus-error", None),
        ("metric", None),
        ("score", None),
        ("accurate_minutes", None),
        ("lossless", None),
        ("", None),
    ],
)
def test_names_by_hand(name: str, said: str | None) -> None:
    assert better_by_name(name) == said


@pytest.mark.parametrize(
    ("metric", "options", "fix"),
    [
        ("val/accuracy", [], "Give --higher-is-better; or rename"),
        ("val/accuracy", ["--higher-is-better"], None),
        ("error", [], None),
        ("error", ["--higher-is-better"], "Leave out --higher-is-better; or rename"),
        ("accuracy", ["--plan", "--difference", "0.1"], None),
        ("score", [], None),
        ("score", ["--higher-is-better"], None),
    ],
)
def test_a_verdict_against_the_metrics_name_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], metric: str, options: list[str], fix: str | None
) -> None:
    rows = [
        f"{group},{seed},{0.5 + 0.1 * seed + shift}"
        for group, shift in (("a", 0), ("b", 0.2))
        for seed in range(3)
    ]
    (tmp_path / "t.csv").write_text("\n".join([f"group,seed,{metric}", *rows]))
    code = execute(["compare", str(tmp_path / "t.csv"), "--baseline", "a", "--metric", metric, *options])
    said = capsys.readouterr().err
    assert (code, fix is None or fix in said) == (0 if fix is None else 2, True)
