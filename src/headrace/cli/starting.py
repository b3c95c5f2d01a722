"""`headrace init`: a workload file and an experiment for data and a model of one's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from headrace.cli._common import say
from headrace.cli._options import APath, OptionalText
from headrace.errors import InputError, did_you_mean

MODULE, EXPERIMENT = "my_workload.py", "experiment.toml"
STARTERS: Mapping[tuple[str, str], str] = {
    ("images", "classes"): "images",
    ("table", "classes"): "table_classes",
    ("table", "numbers"): "table_numbers",
    ("text", "tokens"): "text",
    ("own", "classes"): "own",
}
"""Kind of data and of task -> the starter's module."""
_DATA = {
    "images": "pictures, in folders by class or as a Hugging Face data set",
    "table": "rows of a CSV file",
    "text": "a text, for a language model",
    "own": "a PyTorch data set of your own, or anything else",
}
_TASKS = {"classes": "a class", "numbers": "a number", "tokens": "the next token"}


def init(
    directory: APath = Path(),
    /,
    *,
    data: OptionalText = None,
    task: OptionalText = None,
    where: OptionalText = None,
) -> int:
    """Write my_workload.py and experiment.toml for your own data and model; they run at once.

    On a terminal it asks what is not given. Without --where the data are made up, so that you can see the
    whole before you put yours in.

    Example: headrace init --data images --task classes --where data/pets

    Args:
        directory: The folder to write into. Default: this one.
        data: "images", "table", "text", or "own" for a PyTorch data set of your own.
        task: What is predicted: "classes", "numbers" (of a table) or "tokens" (of a text).
        where: The folder of the pictures, the CSV file or the text file.
    """
    data = _answered("--data", data, _DATA, "What are your data?")
    task = _answered("--task", task, _tasks(data), "What is predicted?")
    if where is None and data != "own" and _asks():
        where = _asked("Where are they? A path; nothing for made-up data: ")
    content = _starter(STARTERS[data, task])
    if where:
        content = _placed(content, data, where, directory)
    _write(directory, {MODULE: content, EXPERIMENT: _read(EXPERIMENT)})
    inside = f"cd {directory} && " if directory != Path() else ""
    written = f"{directory / MODULE} and {directory / EXPERIMENT}"
    say(f"{written} are written. Next: {inside}headrace run {EXPERIMENT}")
    return 0


def _tasks(data: str) -> dict[str, str]:
    """The tasks that there are starters for."""
    return {task: _TASKS[task] for kind, task in STARTERS if kind == data}


def _answered(option: str, given: str | None, known: Mapping[str, str], question: str) -> str:
    """What was given, asked for, or the only answer that there is."""
    if given is None and len(known) == 1:
        return next(iter(known))
    if given is None and not _asks():
        raise InputError(
            "must be given if nobody can be asked", where=option, fix=f"Give one of {', '.join(known)}."
        )
    while given is None:
        choices = "".join(f"\n  {name}: {words}" for name, words in known.items())
        answer = _asked(f"{question}{choices}\n> ")
        given = answer if answer in known else None
    if given not in known:
        raise InputError("unknown answer", where=option, got=given, fix=did_you_mean(given, known))
    return given


def _asks() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _asked(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise KeyboardInterrupt
    return line.strip()


def _read(name: str) -> str:
    return (files("headrace.workloads") / "starters" / name).read_text(encoding="utf-8")


def _starter(name: str) -> str:
    return _read(f"{name}.py")


def _placed(content: str, data: str, where: str, directory: Path) -> str:
    """The starter with the path of the data, as it is seen from the folder."""
    if data == "own":
        fix = f"Put your data set into {MODULE}."
        raise InputError("has no place with data of your own", where="--where", got=where, fix=fix)
    path = Path(where).expanduser()
    if not path.exists():
        raise InputError("does not exist", where="--where", got=where, fix="Check the path.")
    folder = data == "images"
    if path.is_dir() != folder:
        kind = "a folder" if folder else "a file"
        raise InputError(f"must be {kind}", where="--where", got=where, fix="Check the path.")
    seen = str(path) if path.is_absolute() else os.path.relpath(path, directory)
    return content.replace("WHERE: str | None = None", f"WHERE: str | None = {seen!r}", 1)


def _write(directory: Path, contents: Mapping[str, str]) -> None:
    from headrace.files import guarded, write_whole

    for name in contents:
        if (directory / name).exists():
            fix = "Choose another folder, or remove it."
            raise InputError("is there already", where=str(directory / name), fix=fix)
    with guarded(directory, make=True):
        for name, content in contents.items():
            write_whole(directory / name, content.encode())
