from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headrace.errors import InputError
from headrace.workloads import NAMES, check_spec, load_workload

MODULE = """
from headrace.workloads import load_workload

def good(width, *, goal=0.5):
    from dataclasses import replace
    return replace(load_workload("digits-mlp", {"hidden": [width]}), goal=goal)

def anything(**settings):
    return good(settings["width"])

def wrong():
    return 3

def raises():
    return 1 / 0

def refuses():
    from headrace.errors import InputError
    raise InputError("my own words")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A user's module in the current directory, of a name no other test has."""
    name = "users_" + "".join(c if c.isalnum() else "_" for c in request.node.name)
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def test_every_name_leads_to_a_function() -> None:
    assert all(callable(entry.find()) for entry in NAMES.values())


def test_a_users_function_gets_its_settings(module: str) -> None:
    workload = load_workload(f"{module}:good", {"width": 5, "goal": 0.25})
    assert workload.goal == 0.25
    assert sum(p.numel() for p in workload.build_model().parameters()) == 65 * 5 + 6 * 10
    assert load_workload(f"{module}:anything", {"width": 5, "other": 1}).goal == 0.5


@pytest.mark.parametrize(
    ("function", "settings", "message"),
    [
        ("good", {}, "needs the setting 'width'"),
        ("good", {"width": 5, "wdith": 5}, "has no setting 'wdith'. It takes width, goal."),
        ("raises", {"x": 1}, "has no setting 'x'. It takes no settings."),
        ("wrong", {}, "must return a headrace.Workload; got 'int'"),
        ("raises", {}, "raised ZeroDivisionError: division by zero"),
        ("refuses", {}, "my own words"),
        ("godo", {}, "has no function 'godo'. Did you mean 'good'"),
    ],
)
def test_what_is_wrong_with_a_users_function_is_said(
    module: str, function: str, settings: dict[str, int], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_workload(f"{module}:{function}", settings)
    assert message in str(caught.value)


def test_the_place_of_a_users_error_is_named(module: str) -> None:
    with pytest.raises(InputError) as caught:
        load_workload(f"{module}:raises")
    assert f"{module}.py, line 15" in str(caught.value)


def test_a_module_that_does_not_import_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(
        InputError, match="'no_such_module_here' does not import: ModuleNotFoundError"
    ) as caught:
        load_workload("no_such_module_here:f")
    assert str(tmp_path) in str(caught.value)
    (tmp_path / "module_with_a_typo.py").write_text("x = 1\ndef f(:\n")
    with pytest.raises(InputError, match="SyntaxError"):
        load_workload("module_with_a_typo:f")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mnist-simple-cn", "Did you mean 'mnist-simple-cnn'"),
        ("zzz", "Built in are digits-logistic"),
        ("digits-mlp ", "Did you mean 'digits-mlp'"),
    ],
)
def test_unknown_names_get_close_matches(spec: str, message: str) -> None:
    with pytest.raises(InputError, match="unknown workload") as caught:
        check_spec(spec)
    assert message in str(caught.value)


@pytest.mark.parametrize("spec", ["digits-mlp", "module:function", "package.module:function"])
def test_known_forms_pass(spec: str) -> None:
    check_spec(spec)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("digits-mlp", {"hiden": [3]}, "digits-mlp has no setting 'hiden'. It takes hidden, label_noise."),
        ("digits-mlp", {"hidden": 100}, "workload.settings.hidden: a list of whole numbers of at least 1"),
        ("digits-mlp", {"hidden": [10, 0]}, "got [10, 0]"),
        ("digits-mlp", {"hidden": [True]}, "got [True]"),
        ("digits-mlp", {"label_noise": 1.0}, "workload.settings.label_noise: a number from 0 up to"),
        ("digits-logistic", {"label_noise": "much"}, "got 'much'"),
    ],
)
def test_settings_of_built_in_workloads_are_checked(
    name: str, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_workload(name, settings)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "fault", "fix"),
    [
        ("own-work:f", "is not a name that Python", "Rename own-work to own_work. Write own_work:f."),
        ("lab/own:f", "is not a name that Python can import", "Write lab.own:f."),
        ("lab\\own.py:f", "is not a name that Python can import", "Write lab.own:f."),
        ("./own.py:f", "is relative", "Write own:f."),
        ("..own:f", "is relative", "Write own:f."),
        ("own work.part:f", "is not a name", "Rename own work to own_work. Write own_work.part:f."),
        ("2own:f", "is not a name", "Rename 2own to _2own. Write _2own:f."),
        ("class:f", "is not a name", "Rename class to _class. Write _class:f."),
        ("/home/me/own.py:f", "is not a name", "Write home.me.own:f."),
        ("own:", "'' is not the name of a function", "Write own:function."),
        ("own:f()", "'f()' is not the name of a function", "Write own:function."),
        ("own:f:g", "'f:g' is not the name of a function", "Write own:function."),
        (":f", "is not a name", "Write module:function, for example my_workloads:digits."),
    ],
)  # fmt: skip
def test_a_module_that_python_cannot_import_is_named_with_what_to_write(
    spec: str, fault: str, fix: str
) -> None:
    with pytest.raises(InputError) as caught:
        check_spec(spec)
    assert fault in str(caught.value)
    assert str(caught.value).endswith(f"; got {spec!r}. {fix}")


@pytest.mark.parametrize("name", ["statistics", "headrace"])
def test_a_file_with_the_name_of_another_module_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    (tmp_path / f"{name}.py").write_text("def f(): return 3\n")
    with pytest.raises(
        InputError, match=rf"{name}:f: the module '{name}' is another one than .*Rename your file"
    ):
        load_workload(f"{name}:f")


def test_a_function_without_a_signature_and_a_folder_that_is_gone_are_no_tracebacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"must return a|raised TypeError"):
        load_workload("builtins:type", {"x": 1})
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(InputError, match="the current folder was removed"):
        load_workload("digits-mlp")
