"""`headrace figure`: one figure of a report for print."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from headrace.cli._common import Json, print_json, say, working
from headrace.cli._options import APath, OptionalPath
from headrace.errors import InputError


def figure(
    directory: APath,
    name: str,
    /,
    *,
    form: Annotated[str, Parameter(name="--format")] = "pdf",
    width: str = "3.3in",
    out: OptionalPath = None,
    json: Json = False,
) -> int:
    """One figure of DIRECTORY's report for print: at a column's width with legible text, and its data as CSV.

    Example: headrace figure runs/first scaling --format pdf --width 3.3in

    Args:
        directory: The folder of an experiment, or of a subset search.
        name: The figure, as its files in DIRECTORY/figures are called.
        form: pdf, svg or png (300 dpi).
        width: The width on paper, for example 3.3in, 84mm or 240pt. No text is smaller than 7 pt.
        out: The file. Default: NAME-WIDTH.FORMAT in DIRECTORY/figures; the CSV is next to it.
    """
    from headrace.analysis.results import analyse
    from headrace.analysis.search_results import is_search, read_search
    from headrace.files import guarded, write_whole
    from headrace.report.printed import printed
    from headrace.store.experiments import load

    if out is not None and out.suffix.lower() == ".csv":
        fix = f"Name the figure's own file, for example {out.with_suffix('.' + form)}."
        raise InputError("is where the figure's data are written", where="--out", got=str(out), fix=fix)
    with working("drawing the figure"):
        if is_search(directory):
            made = printed(read_search(directory), ("search",), name, form, width)
        else:
            made = printed(analyse(load(directory)), ("experiment", "portraits"), name, form, width)
        path = out or directory / "figures" / f"{name}-{width.replace(' ', '')}.{form}"
        data = path.with_suffix(".csv")
        with guarded(directory):
            write_whole(path, made.content)
            write_whole(data, made.csv)
    if json:
        print_json({"figure": str(path), "data": str(data)})
    else:
        say(f"{path}, and its data: {data}")
    return 0
