"""The benchmarks' command line: `python -m benchmarks (NAME | all) [--json] [setting=value ...]`."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib import metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")


def names() -> list[str]:
    """The benchmarks of this folder."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name for module in found if not module.name.startswith("_"))


def measure(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Run one benchmark; whatever it prints goes to standard error."""
    with redirect_stdout(sys.stderr):
        result = importlib.import_module(f"benchmarks.{name}").run(**settings)
    missing = {"ours", "peer", "ratio", "measured"} - result.keys()
    if missing:
        raise KeyError(f"benchmarks.{name}.run returned no {', '.join(sorted(missing))}")
    return {"name": name, **result, "versions": versions()}


def versions() -> dict[str, str]:
    """What the numbers depend on."""
    packages = (
        "headrace",
        "torch",
        "numpy",
        "scipy",
        "polars",
        "optuna",
        "scikit-learn",
        "baal",
        "scikit-activeml",
    )
    found = {
        dist.metadata["Name"]: dist.version
        for dist in metadata.distributions()
        if dist.metadata["Name"] in packages
    }
    threads = os.environ["OMP_NUM_THREADS"]
    return {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, OMP_NUM_THREADS={threads}",
        **found,
    }


def in_words(result: dict[str, Any]) -> str:
    """One line for people."""
    unit = result.get("unit", "")
    return (
        f"{result['name']}: ours {result['ours']:.4g} {unit}, peer {result['peer']:.4g} {unit}, "
        f"ratio {result['ratio']:.3f} ({result['measured']})"
    )


def setting(text: str) -> tuple[str, Any]:
    """`rounds=5` -> ("rounds", 5), a bare word -> ("only", word); a value that is not JSON stays text."""
    key, equals, value = text.partition("=")
    if not equals:
        return "only", text
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value


def listing() -> str:
    """Every benchmark's name and description."""
    lines: list[str] = []
    for name in names():
        try:
            description = importlib.import_module(f"benchmarks.{name}").DESCRIPTION
        except ImportError as error:
            description = f"(needs {error.name})"
        lines.append(f"  {name:<18} {description}")
    return "benchmarks:\n" + "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; 1 where a benchmark failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Compare Headrace with its peers.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=listing() if {"-h", "--help"} & set(arguments) or not arguments else None,
    )
    parser.add_argument("name", choices=["all", *names()], metavar="NAME", help="a benchmark, or all")
    parser.add_argument(
        "settings", nargs="*", type=setting, metavar="setting=value", help="for its run function"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per benchmark, one line each")
    asked = parser.parse_intermixed_args(arguments)
    failed = 0
    for name in names() if asked.name == "all" else [asked.name]:
        try:
            result = measure(name, dict(asked.settings))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - one broken benchmark must not hide the others.
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            failed = max(failed, 2 if isinstance(error, SystemExit) else 1)
        else:
            print(json.dumps(result) if asked.json else in_words(result), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
