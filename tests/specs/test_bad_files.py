"""The two TOML files, mutated: each is taken, or refused with its key in a short text, at once."""

from __future__ import annotations

import copy
import datetime
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import InputError, InputErrors
from headrace.specs import toml
from headrace.specs.document import Document
from headrace.specs.experiment import Experiment
from headrace.specs.search import SubsetSearch

EXPERIMENT: dict[str, Any] = {
    "seed": 3,
    "workload": {"name": "digits-mlp", "settings": {"a": 1, "b": [1.0, "x"], "c": {"d": True}}, "goal": 0.1},
    "grid": {
        "batch_size": [8, 16], "optimizer": ["adamw"], "policy": ["shuffle", "sample-difficulty"],
        "subset": ["full", "mine"], "workers": [1, 2],
    },
    "search": {
        "trials": 4, "max_trials": 9,
        "space": {
            "learning_rate": {"low": 1e-3, "high": 1.0, "scale": "log"}, "warmup_steps": {"choices": [0, 5]},
            "beta1": {"low": 0.1, "high": 0.9, "scale": "one-minus-log"}, "epsilon": 1e-8,
        },
        "policy": {"sample-difficulty": {"epsilon": 0.5}},
    },
    "training": {
        "schedule": "constant", "budget": {"steps": 60}, "evaluation": {"ratio": 1.05}, "microbatch": 4,
        "stop": "bound", "device": "cpu", "checkpoints": [0.5, 1.0],
    },
    "subsets": {"mine": "mine.parquet"},
    "report": {"portrait_epochs": 2.0},
}  # fmt: skip
TRAINING: dict[str, Any] = {
    "runs": 2, "checkpoints": 5, "batch_size": 8, "optimizer": "momentum", "schedule": "constant",
    "hyperparameters": {"learning_rate": 0.1, "momentum": 0.9}, "budget": {"epochs": 2.0}, "microbatch": 4,
    "device": "cpu",
}  # fmt: skip
SEARCH: dict[str, Any] = {
    "seed": 1,
    "workload": {"name": "digits-mlp", "settings": {"a": 1}},
    "search": {
        "sizes": [0.1, 0.2], "choose_from": "remainder", "start": "scratch", "labels": "hidden",
        "oracle": "dataset",
        "methods": [
            {"name": "one", "acquisition": "margin", "select": {"name": "power", "exponent": 1.0}},
            {"acquisition": "entropy", "select": {"name": "stratified", "drop_hardest": 0.1, "strata": 9}},
            {"select": {"name": "batch_bald", "shortlist": 2.0, "configurations": 99}},
        ],
    },
    "training": TRAINING,
    "comparison": {"seeds": 2, "baselines": ["random", "full"]},
    "transfer": [{"name": "other", "workload": {"name": "digits-logistic"}, "batch_size": 4}],
}  # fmt: skip
DOCUMENTS: dict[type[Document], dict[str, Any]] = {Experiment: EXPERIMENT, SubsetSearch: SEARCH}

DEEP: Any = 1
for _ in range(3000):
    DEEP = [DEEP]
NASTY: tuple[Any, ...] = (
    -1, 0, -0.0, 1.5, 16.0, 1e3, True, False, "16", "", "\x1b[31m", "x" * 10**6, float("nan"), float("inf"),
    -float("inf"), 1e308, 5e-324, 10**9, 10**18, 10**400, -(10**5000), None, [], {}, [[]], [{}], {"": {}},
    [1] * 10**5, [0.5] * 10**5, list(range(1, 10**5)), ["x"] * 10**4, {f"k{i}": i for i in range(8000)},
    datetime.date(2024, 1, 1), datetime.time(12), datetime.datetime(2024, 1, 1), DEEP, b"bytes", object(),
    {"low": 1e-300, "high": 1e300, "scale": "log"}, {"low": -1e308, "high": 1e308, "scale": "linear"},
    {"choices": []}, {"choices": [1, 1]}, {"low": 2, "high": 1}, "random:nan", "random:1e-400", "none:none",
)  # fmt: skip


def places(content: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every key and item of nested tables."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def changed(content: Any, path: tuple[str | int, ...], value: Any) -> Any:
    made = copy.deepcopy(content)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return made


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_files_that_are_mutated_are_right(document: type[Document]) -> None:
    document.from_dict(DOCUMENTS[document])


@pytest.mark.parametrize(
    ("document", "path"),
    [
        pytest.param(document, path, id=f"{document.__name__}-{'.'.join(map(str, path))}")
        for document, content in DOCUMENTS.items()
        for path in places(content)
    ],
)
def test_any_value_at_any_key_is_taken_or_refused_at_once(
    document: type[Document], path: tuple[str | int, ...]
) -> None:
    for value in NASTY:
        content, start = changed(DOCUMENTS[document], path, value), time.process_time()
        try:
            made = document.from_dict(content)
        except InputErrors as error:
            assert error.errors
            assert all(one.where for one in error.errors)
            assert len(str(error)) < 200_000
            assert str(error).isprintable() or "\n" in str(error)
        else:
            assert type(made).from_dict(toml.tomllib.loads(made.to_toml())) == made
        assert time.process_time() - start < 2.0, f"took {time.process_time() - start:.1f} s"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_key_that_is_not_known_in_any_table_is_refused(document: type[Document]) -> None:
    content = DOCUMENTS[document]
    for path in [(), *places(content)]:
        inner: Any = content
        for key in path:
            inner = inner[key]
        if isinstance(inner, dict) and path[-1:] != ("c",) and "settings" not in path:
            many = changed(content, (*path, "k" * 10**5), 1)
            many = changed(many, (*path, "\x1b[2J"), 1)
            with pytest.raises(InputErrors) as caught:
                document.from_dict(many)
            assert len(str(caught.value)) < 20_000
            assert "\x1b" not in str(caught.value)


TEXTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is missing"),
    "not TOML": (b"a = [1", "this is not TOML"),
    "twice": (b"seed = 1\nseed = 2\n", "line 2"),
    "table twice": (b"[grid]\n[grid]\n", "line 2"),
    "NUL": (b"seed = 1\n\x00", "line 2"),
    "UTF-16": ("seed = 1".encode("utf-16"), "the file is UTF-16. Save the file as UTF-8."),
    "UTF-16 without a mark": ("seed = 1".encode("utf-16-be"), "this is not TOML"),
    "Latin-1": ("a = 1\nb = 'caf\xe9'\n".encode("latin-1"), "line 2 is not UTF-8 (the byte 0xe9)"),
    "digits": (b"seed = " + b"1" * 5000, "cannot be read"),
    "hexadecimal": (b"seed = 0x" + b"f" * 5000, "seed: must be at most"),
    "1e400": (b"[workload]\nname = ''\ngoal = 1e400", "goal: input should be a finite number; got inf"),
    "a date": (b"seed = 2024-13-41", "this is not TOML"),
    "a day too many": (b"seed = 2023-02-29", "this is not TOML"),
    "nested lists": (b"a = " + b"[" * 10**5, "nested too deep"),
    "nested tables": (b"a = " + b"{a = " * 10**5, "nested too deep"),
    "dots": (b"a" + b".a" * 20_000 + b" = 1", "a key has more than 30 parts"),
    "dots in a heading": (b"[a" + b" . 'a'" * 20_000 + b"]", "a key has more than 30 parts"),
    "dots within": (b"x = {a" + b'."a"' * 20_000 + b" = 1}", "a key has more than 30 parts"),
    "unknown keys": (b"".join(b"k%d = 1\n" % i for i in range(100_000)), "and "),
    "many tables": (b"[[grid]]\n" * 100_000, "grid: "),
    "large": (b"#" * (toml.LARGEST_FILE + 1), "the file has 1,048,577 bytes, and at most 1,048,576 are read"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_any_text_is_refused_in_a_few_seconds(tmp_path: Path, document: type[Document], name: str) -> None:
    content, message = TEXTS[name]
    (tmp_path / "e.toml").write_bytes(content)
    start = time.process_time()
    with pytest.raises(InputError) as caught:
        document.from_toml(tmp_path / "e.toml")
    assert time.process_time() - start < 10
    assert str(caught.value).startswith(f"{tmp_path / 'e.toml'}: ")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 20_000


def test_what_editors_of_other_systems_save_is_read(tmp_path: Path) -> None:
    text = Experiment.from_dict(EXPERIMENT).to_toml()
    for saved in (text.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + text.encode()):
        (tmp_path / "e.toml").write_bytes(saved)
        assert toml.read(tmp_path / "e.toml") == toml.tomllib.loads(text)


def test_what_is_no_ordinary_file_is_refused_and_nothing_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, message in (
        (tmp_path, "this is a folder"),
        (tmp_path / "pipe", "this is not an ordinary file"),
        (Path("/dev/zero"), "this is not an ordinary file"),
        (tmp_path / "loop", "the file cannot be read"),
        (tmp_path / ("n" * 300), "the file cannot be read"),
        (tmp_path / "none", "the file does not exist"),
        (Path("a\0b"), "the file cannot be read"),
    ):
        with pytest.raises(InputError, match=message):
            toml.read(path)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"when": datetime.date(2024, 1, 2)},
         "when: cannot be a date or a time; got '2024-01-02'. Write it as text: \"2024-01-02\"."),
        ({"deep": [{"at": datetime.time(1, 2)}]}, 'deep[0].at: cannot be a date or a time; got \'01:02:00\'. '
         'Write it as text: "01:02:00".'),
        ({"limit": float("nan")}, "limit: must be a number: nan equals nothing, so no later run would be "
         "found to be the same; got nan. Leave it out."),
        ({"x": {"y": None}}, "x.y: must be text, a number, true or false, a list or a table; got None"),
        ({"x": 2**128}, "x: must have at most 128 bits; got 340282366920938463463374607431768211456. Write "
         "it as text."),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_kept_are_named(setting: dict[str, Any], message: str) -> None:
    for document, content in DOCUMENTS.items():
        with pytest.raises(InputErrors) as caught:
            document.from_dict(changed(content, ("workload", "settings"), setting))
        assert [str(error) for error in caught.value.errors] == [f"workload.settings.{message}"]


def test_settings_that_can_be_kept_are_the_same_when_they_are_read_again() -> None:
    settings = {
        "a": float("inf"),
        "b": -0.0,
        "c": [],
        "d": {},
        "e": {"f": [{"g": "\x1b\u202e"}]},
        "h": 2**127,
    }
    made = Experiment.from_dict(changed(EXPERIMENT, ("workload", "settings"), settings))
    again = Experiment.from_dict(toml.tomllib.loads(made.to_toml()))
    assert again == made
    assert again.digest() == made.digest()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("search", "trials"), 10**9, "search.trials: must be at most 10,000, because all trials of a study "
         "are looked at again whenever one of them ends; got 1000000000. Use a smaller number."),
        (("training", "checkpoints"), 10**9, "training.checkpoints: must be at most 10,000, because "),
        (("grid", "batch_size"), [2**41], "grid.batch_size[0]: must be at most 1,099,511,627,776, because "),
        (("grid", "batch_size"), list(range(2, 1003)), "grid.batch_size: must have at most 1,000 entries; "),
        (("training", "evaluation"), {"ratio": 1 + 1e-10}, None),
        (("training", "budget"), {"steps": 10**13}, "training.budget.steps: must be at most 1,000,000,000,0"),
    ],
)  # fmt: skip
def test_a_number_beyond_its_limit_is_refused_with_the_reason(
    path: tuple[str, ...], value: object, message: str | None
) -> None:
    content = changed(EXPERIMENT, path, value)
    if message is None:
        Experiment.from_dict(content)
        return
    with pytest.raises(InputErrors) as caught:
        Experiment.from_dict(content)
    assert str(caught.value.errors[0]).startswith(message)


@pytest.mark.parametrize("evaluation", [{"every": 1}, {"ratio": 1 + 1e-12}])
def test_more_evaluations_than_can_be_kept_are_refused(evaluation: dict[str, float]) -> None:
    content = changed(EXPERIMENT, ("training", "budget"), {"steps": 10**12})
    with pytest.raises(
        InputErrors, match="training: evaluation: a trial would be evaluated more than 1,000,000"
    ):
        Experiment.from_dict(changed(content, ("training", "evaluation"), evaluation))


def test_a_grid_of_too_many_studies_is_refused() -> None:
    content = changed(EXPERIMENT, ("grid", "batch_size"), list(range(8, 508)))
    content = changed(content, ("grid", "workers"), [1, 2, 3, 4, 5, 6])
    with pytest.raises(
        InputErrors, match="grid: must have at most 10,000 combinations, because each is a study"
    ):
        Experiment.from_dict(content)


@pytest.mark.parametrize("name", ["x" * 250, "é" * 50, "/" * 90])
def test_a_study_whose_folder_could_not_be_made_is_refused(name: str) -> None:
    content = changed(EXPERIMENT, ("grid", "subset"), ["full", name])
    with pytest.raises(InputErrors, match=r"grid: a study's folder would have a name of .* not at most 255"):
        Experiment.from_dict(changed(content, ("subsets",), {name: "a.parquet"}))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("name = \u201cwl:w\u201d", "straight quotes"),
        ("seed: 0", "looks like YAML"),
        ("shuffle = True", "Write true or false"),
        ("rate = { low = .1, high = 1 }", "both sides of a decimal point"),
        ("rate = 1.", "both sides of a decimal point"),
        ("budget = { steps = 9, }", "in one line"),
        ("budget = {", "in one line"),
        ("name = wl:w", "Write texts in quotes"),
        ("<<<<<<< HEAD", "conflict that git left"),
        ("tr\u0456als = 2", "only looks like ASCII"),
        ("seed\u00a0= 2", "only looks like ASCII"),
        ('folder = "C:\\Users"', "single quotes"),
        ("seed = 1 2", "Fix the line named"),
    ],
)
def test_a_line_that_is_not_toml_is_shown_with_its_fix(line: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f"[a]\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"this is not TOML: .*at line 2.*{words}") as caught:
        toml.read(path)
    assert caught.value.got == line
