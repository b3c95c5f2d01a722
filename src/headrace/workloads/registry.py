"""From a name in an experiment file to a workload; imports no torch until a workload is built."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from headrace.errors import InputError, closest, describe
from headrace.homes import Entry

if TYPE_CHECKING:
    from headrace.workloads._base import Workload

_ROOM = "headrace.workloads."
NAMES: dict[str, Entry] = {
    "digits-logistic": Entry(home=_ROOM + "digits:digits_logistic"),
    "digits-mlp": Entry(home=_ROOM + "digits:digits_mlp"),
    "mnist-fc": Entry(home=_ROOM + "mnist:mnist_fc"),
    "mnist-simple-cnn": Entry(home=_ROOM + "mnist:mnist_simple_cnn"),
    "mnist-simple-cnn-narrow": Entry(home=_ROOM + "mnist:mnist_simple_cnn_narrow"),
    "mnist-simple-cnn-wide": Entry(home=_ROOM + "mnist:mnist_simple_cnn_wide"),
    "fashion-mnist-fc": Entry(home=_ROOM + "mnist:fashion_mnist_fc"),
    "fashion-mnist-simple-cnn": Entry(home=_ROOM + "mnist:fashion_mnist_simple_cnn"),
    "fashion-mnist-simple-cnn-narrow": Entry(home=_ROOM + "mnist:fashion_mnist_simple_cnn_narrow"),
    "fashion-mnist-simple-cnn-wide": Entry(home=_ROOM + "mnist:fashion_mnist_simple_cnn_wide"),
    "cifar10-resnet8": Entry(home=_ROOM + "cifar10:cifar10_resnet8"),
    "mr-cnn": Entry(home=_ROOM + "movie_reviews:mr_cnn"),
    "names-gpt": Entry(home=_ROOM + "language.names:names_gpt"),
    "shakespeare-gpt": Entry(home=_ROOM + "language.shakespeare:shakespeare_gpt"),
    "shakespeare-lstm": Entry(home=_ROOM + "language.shakespeare:shakespeare_lstm"),
}
"""Built-in workload -> what builds it."""


def check_spec(spec: str) -> None:
    """Check that `spec` is a built-in name or has the form `module:function`; imports nothing.

    Raises:
        InputError: It is neither; close matches are named.
    """
    module, colon, function = spec.partition(":")
    if spec in NAMES:
        return
    words = [function, *module.split(".")]
    if colon and all(word.isidentifier() and not iskeyword(word) for word in words):
        return
    if colon:
        raise InputError(
            _fault(module, function), where="workload.name", got=spec, fix=_rename(module, function)
        )
    raise InputError("unknown workload", where="workload.name", got=spec, fix=_suggestion(spec))


def _fault(module: str, function: str) -> str:
    """What keeps `module:function` from being names that Python can import."""
    if not function.isidentifier():
        return f"{function!r} is not the name of a function"
    if module.startswith("."):
        return f"{module!r} is relative: a module is named from the folder in which the command is started"
    return f"{module!r} is not a name that Python can import"


def _rename(module: str, function: str) -> str:
    """What to write instead of `module`: a path as dots, and words of letters, digits and _."""
    parts = [part for part in re.split(r"[./\\]+", module.removesuffix(".py")) if part]
    names = [re.sub(r"\W", "_", part) for part in parts]
    names = [f"_{name}" if name[0].isdigit() or iskeyword(name) else name for name in names]
    if not names:
        return "Write module:function, for example my_workloads:digits."
    named = f"Write {'.'.join(names)}:{function if function.isidentifier() else 'function'}."
    renamed = [(old, new) for old, new in zip(parts, names, strict=True) if old != new]
    return f"Rename {', '.join(f'{old} to {new}' for old, new in renamed)}. {named}" if renamed else named


def load_workload(spec: str, settings: Mapping[str, Any] | None = None) -> Workload:
    """Build a workload.

    Args:
        spec: A name of `NAMES`, or `module:function` of the user's own; modules next to the current
            directory can be imported.
        settings: Keyword arguments for the function, as they are in the experiment file.

    Raises:
        InputError: An unknown name, a module that does not import, a function that is missing, raises
            or returns something else, or a setting that it does not take.
    """
    check_spec(spec)
    settings = dict(settings or {})
    function = find_function(spec)
    _check_settings(spec, function, settings)
    try:
        workload = function(**settings)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(
            f"the workload's function raised {describe(error)}",
            where=spec,
            fix="Fix the function, or its settings.",
        ) from error
    return _checked(spec, workload)


def find_function(spec: str) -> Callable[..., Any]:
    """The function that `spec`, a built-in name or `module:function`, names.

    Raises:
        InputError: The module does not import, or the function does not exist.
    """
    home = NAMES[spec].home if spec in NAMES else spec
    module_name, _, function_name = home.partition(":")
    here = _current_folder()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        module = import_module(module_name)
        _check_shadow(spec, module, module_name, Path(here))
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(
            f"the module {module_name!r} does not import: {describe(error)}",
            where=spec,
            fix=f"It is looked for in {here} and on Python's path.",
        ) from error
    function = getattr(module, function_name, None)
    if function is not None and not callable(function):
        raise InputError(
            f"{function_name!r} in the module {module_name!r} is not a function",
            where=spec,
            got=type(function).__name__,
        )
    if function is None:
        functions = (name for name, value in vars(module).items() if name[0] != "_" and callable(value))
        fix = closest(function_name, functions, most=3) or None
        raise InputError(f"the module {module_name!r} has no function {function_name!r}", where=spec, fix=fix)
    return function


def _current_folder() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        raise InputError(
            "the current folder was removed", where="the command", fix="Change to a folder that exists."
        ) from None


def _check_shadow(spec: str, module: ModuleType, name: str, here: Path) -> None:
    """Refuse a module that is not the file of this name in the current folder."""
    place = here.joinpath(*name.split("."))
    own = [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]
    found = getattr(module, "__file__", None)
    same = found is not None and Path(found).exists() and own and Path(found).samefile(own[0])
    if spec not in NAMES and own and not same:
        raise InputError(
            f"the module {name!r} is another one than {own[0]}",
            where=spec,
            got=found or "a part of Python",
            fix="Rename your file.",
        )


def _check_settings(spec: str, function: Callable[..., Any], settings: dict[str, Any]) -> None:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        # Some functions that are not written in Python have no signature: calling them will show.
        return
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    accepted = [parameter.name for parameter in parameters if parameter.kind in by_name]
    unknown = sorted(set(settings) - set(accepted))
    if unknown:
        raise InputError(
            f"{spec} has no setting {', '.join(map(repr, unknown))}",
            where="workload.settings",
            fix=f"It takes {', '.join(accepted)}." if accepted else "It takes no settings.",
        )
    required = [p.name for p in parameters if p.kind in by_name and p.default is inspect.Parameter.empty]
    missing = [name for name in required if name not in settings]
    if missing:
        raise InputError(
            f"{spec} needs the setting {', '.join(map(repr, missing))}", where="workload.settings"
        )


def _checked(spec: str, workload: object) -> Workload:
    from headrace.workloads._base import Workload

    if not isinstance(workload, Workload):
        raise InputError(
            "the function must return a headrace.Workload", where=spec, got=type(workload).__name__
        )
    return workload


def _suggestion(spec: str) -> str:
    known = closest(spec, NAMES, most=3, cutoff=0.5) or f"Built in are {', '.join(NAMES)}."
    return f"{known} Your own is given as module:function."
