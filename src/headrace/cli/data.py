"""`data`: which data sets are found where, and how to get the others."""

from __future__ import annotations

from cyclopts import App

from headrace.cli._common import Json, print_json, print_table, say

app = App(
    name="data", help="Which data sets are found where, and how to get the others.", help_format="plaintext"
)


@app.default
def show(*, json: Json = False) -> int:
    """Which data sets are found where, and how to get the others.

    Example: headrace data
    """
    return _show(check=False, json=json)


@app.command
def check(*, json: Json = False) -> int:
    """Read every data set that is found, and compare it with its known checksums.

    Example: headrace data check
    """
    return _show(check=True, json=json)


def _show(*, check: bool, json: bool) -> int:
    from headrace.workloads.survey import survey

    found = survey(check=check)
    if json:
        print_json({"datasets": [place.to_dict() for place in found]})
        return 0
    rows = [(place.name, place.path or "not found", place.verdict) for place in found]
    print_table(("data set", "where", "state"), rows)
    for place in found:
        if place.path is None:
            looked = "\n    ".join(str(path) for path in place.looked_at)
            say(f"\n{place.name} was looked for in\n    {looked}\n  How to get it: {place.how_to_get}")
    return 0
