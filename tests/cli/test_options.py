"""Options as shells and job scripts pass them, and names that terminals would obey."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from headrace.cli._common import print_json, print_table, say
from headrace.cli.app import execute

from .test_processes import BUFFERED, CALL

TABLE = "group,seed,metric\na,1,0.1\na,2,0.2\nb,1,0.1\nb,2,0.3\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(TABLE)
    (tmp_path / "e.toml").write_text(
        '[workload]\nname = "digits-mlp"\n[grid]\nbatch_size = [8]\n[search]\n'
        "space = { learning_rate = 0.1 }\n[training]\nbudget = { steps = 9 }\n"
    )
    return tmp_path


@pytest.mark.parametrize("text", ["", " ", "\n", "runs/a\r", "runs/a\n", " runs/a"])
@pytest.mark.parametrize(
    "command",
    [
        ("run", "e.toml", "--out"), ("demo", "--out"), ("subset", "e.toml", "--out"), ("status",),
        ("report",), ("run",), ("subset",), ("fit",), ("compare",),
        ("compare", "t.csv", "--baseline", "a", "--figure"),
        ("noise",), ("recommend",), ("throughput", "e.toml", "--out"), ("archive", "export"),
        ("archive", "import", "--goal", "0.1"), ("subset", "e.toml", "--answers"),
    ],
)  # fmt: skip
def test_a_path_with_a_mistake_of_quoting_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], text: str
) -> None:
    last = ("out",) if command[:1] == ("archive",) else ()
    rest = ("--baseline", "a") if command == ("compare",) else ()
    assert execute([*command, text, *last, *rest]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    name = command[-1] if command[-1].startswith("--") and command[-1] != "--goal" else ""
    assert name in shown.err
    assert "must not be" in shown.err or "must not begin or end" in shown.err
    assert repr(text) in shown.err
    assert sorted(path.name for path in here.iterdir()) == ["e.toml", "t.csv"]


def test_a_home_that_no_shell_has_replaced_is_the_home(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(here))
    assert execute(["compare", "~/t.csv", "--baseline", "a", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["baseline"] == "a"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "e.toml", "--processes", "-1"), "--processes: must be at least 1; got -1"),
        (
            ("run", "e.toml", "--processes", "1000000000"),
            "--processes: must be at most 1,024; got 1000000000",
        ),
        (("subset", "e.toml", "--processes", "0"), "--processes: must be at least 1; got 0"),
        (("run", "e.toml", "--accept-change", " "), "--accept-change: must not be empty"),
        (("throughput", "e.toml", "--workers", "0"), "--workers: must be at least 1; got 0"),
        (("throughput", "e.toml", "--seconds", "nan"), "--seconds: must be at least 0.001; got nan"),
        (("throughput", "e.toml", "--seconds", "inf"), "--seconds: must be at most 86,400; got inf"),
        (
            ("compare", "t.csv", "--baseline", "a", "--level", "95"),
            "level: must be a finite number above 0 and below 1; got 95.0",
        ),
        (
            ("compare", "t.csv", "--baseline", "a", "--level", "nan"),
            "level: must be a finite number above 0 and below 1; got nan",
        ),
    ],
)
def test_a_number_that_is_not_taken_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert execute(arguments) == 2
    shown = capsys.readouterr()
    assert (shown.out, message in shown.err) == ("", True), shown.err
    assert sorted(path.name for path in here.iterdir()) == ["e.toml", "t.csv"]


NAME = "\x1b[2J\u202egpj\r[red]b[/]\x07\U000e0041"


def test_names_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    say(NAME)
    print_table([NAME], [[NAME]], title=NAME)
    shown = capsys.readouterr().out
    assert not set(shown) & set("\x1b\u202e\r\x07\U000e0041")
    assert shown.count("\\x1b[2J\\u202egpj\\r[red]b[/]\\x07\\U000e0041") == 4


def test_json_holds_names_as_they_are_and_no_character_that_a_terminal_obeys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    value = {NAME: [NAME, float("nan"), -float("inf"), "Zürich", "\udce9"], "a": {"b": float("inf")}}
    print_json(value)
    shown = capsys.readouterr().out
    assert not set(shown) & set("\x1b\u202e\r\x07\U000e0041\udce9")
    assert json.loads(shown) == {NAME: [NAME, None, None, "Zürich", "\udce9"], "a": {"b": None}}


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TERM": "dumb", "COLUMNS": "20", "NO_COLOR": "1"},
        {"COLUMNS": "abc", "LINES": "0", "FORCE_COLOR": "1", "TERM": "nonsense"},
        {"OMP_NUM_THREADS": "abc", "HEADRACE_DATA": "\n", "TMPDIR": "/nowhere"},
    ],
    ids=["ascii", "POSIX", "dumb", "odd", "nonsense"],
)
def test_any_terminal_and_locale_shows_any_name(tmp_path: Path, environment: dict[str, str]) -> None:
    names = f'"Zürich 東京","{NAME[1:4]}\u202e[red]"'.split(",")
    rows = [f"{name},{seed},{seed / (3 + place)}" for place, name in enumerate(names) for seed in (1, 2, 3)]
    (tmp_path / "tä ble.csv").write_text("\n".join(["group,seed,metric", *rows]) + "\n", encoding="utf-8")
    base = {name: value for name, value in BUFFERED.items() if name not in ("HOME", "LANG", "LC_ALL")}
    for extra in ((), ("--json",)):
        done = subprocess.run(
            [*CALL, "compare", "tä ble.csv", "--baseline", "Zürich 東京", *extra],
            capture_output=True, cwd=tmp_path, env={**base, **environment}, stdin=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"\xe2\x80\xae" not in done.stdout
        if extra:
            assert json.loads(done.stdout.decode("utf-8"))["baseline"] == "Zürich 東京"


def test_a_path_of_any_bytes_is_read_and_shown(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/a 'b' %s #\n\xe9"
    Path(os.fsdecode(folder)).mkdir()
    Path(os.fsdecode(folder + b"/t.csv")).write_text(TABLE)
    for name, code in ((b"/t.csv", 0), (b"/none.csv", 2)):
        call = [os.fsencode(part) for part in (*CALL, "compare")]
        done = subprocess.run([*call, folder + name, b"--baseline", b"a"], capture_output=True, check=False)
        assert done.returncode == code
        assert b"Traceback" not in done.stderr
        assert b"\xe9" not in done.stdout + done.stderr
