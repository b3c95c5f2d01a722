"""`headrace export`: a folder's trials for other tools."""

from __future__ import annotations

from headrace.cli._common import Json, counting, print_json, say
from headrace.cli._options import APath, OptionalPath

_NEXT = {
    "csv": "In Python: polars.read_csv({first!r}), or pandas.read_csv.",
    "parquet": "In Python: polars.read_parquet({first!r}), or pandas.read_parquet.",
    "pandas": "In Python: pandas.read_feather({first!r}).",
    "optuna": "Next: optuna-dashboard sqlite:///{first}",
}


def export(
    directory: APath,
    /,
    *,
    to: str = "parquet",
    out: OptionalPath = None,
    json: Json = False,
) -> int:
    """Write the trials, measurements and replicates of DIRECTORY for other tools: tables, or for Optuna.

    Example: headrace export runs/first --to parquet

    Args:
        directory: The folder of an experiment, finished or not.
        to: "csv", "parquet", "pandas" (Feather files), or "optuna" (a storage that optuna-dashboard opens).
        out: The folder to make. Default: DIRECTORY-FORM next to it, for example runs/first-parquet.
    """
    from headrace.exchange.export import export as write
    from headrace.store.experiments import load

    stored = load(directory)
    # "." and ".." have no name of their own.
    named = directory if directory.name not in ("", "..") else directory.resolve()
    target = out or named.with_name(f"{named.name}-{to}")
    with counting(len(stored.studies())) as told:
        files = write(stored, target, to, inform=told)
    paths = [str(target / name) for name in files]
    if json:
        print_json({"form": to, "files": paths})
    else:
        first = next((path for path in paths if "trials" in path), paths[0])
        say(f"Written: {', '.join(paths)}. {_NEXT[to].format(first=first)}")
    return 0
