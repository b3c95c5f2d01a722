"""Every comparison of this page again, by today's `headrace compare`, and which verdicts differ from then.

    python docs/results/subsets/verdicts.py

Rewrites what is between the two markers in README.md, from `*errors-*.csv` and `*differences.csv` of each
folder: no run is made. The level is divided by the number of sizes and by two, for the two baselines.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headrace.analysis.comparison import compare

HERE = Path(__file__).parent
MARKERS = "<!-- verdicts: begin, made by verdicts.py -->\n", "<!-- verdicts: end -->"
DATA = {
    "mnist": "MNIST",
    "fashion-mnist": "Fashion-MNIST",
    "mnist-noisy": "MNIST, labels flipped",
    "labels-fashion-mnist": "Fashion-MNIST, labels hidden",
    "labels-mr": "MR, labels hidden",
}
KINDS = {
    "": "",
    "two-layers-": ", two hidden layers",
    "as-long-": ", as many steps",
    "twice-as-long-": ", twice as long",
}
SHOWN = ("better", "worse")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One method at one size against one baseline."""

    where: str
    size: int
    method: str
    baseline: str
    before: str
    now: str
    difference: float
    interval: tuple[float, float]


def main() -> None:
    """Compare what is here and write the tables into the page."""
    found = [
        verdict
        for data, name in DATA.items()
        for kind, said in KINDS.items()
        for verdict in verdicts(HERE / data, kind, name + said)
    ]
    page = HERE / "README.md"
    before, _, rest = page.read_text().partition(MARKERS[0])
    _, _, after = rest.partition(MARKERS[1])
    page.write_text(before + MARKERS[0] + "\n" + "\n".join(tables(found)) + "\n" + MARKERS[1] + after)


def verdicts(folder: Path, kind: str, where: str) -> Iterator[Verdict]:
    """Those of one table of errors, all sizes."""
    path = folder / f"{kind}differences.csv"
    paths = sorted(folder.glob(f"{kind}errors-*.csv"), key=lambda one: int(one.stem.rpartition("-")[2]))
    if not path.exists() or not paths:
        return
    with path.open(newline="") as file:
        then = {(int(row["size"]), row["group"]): row for row in csv.DictReader(file)}
    level = 1 - 0.05 / (2 * len(paths))
    for table in paths:
        size = int(table.stem.rpartition("-")[2])
        with table.open(newline="") as file:
            rows = list(csv.DictReader(file))
        for baseline, other in (("random", "full"), ("full", "random")):
            kept = [row for row in rows if row["group"] != other]
            if baseline not in {row["group"] for row in kept}:
                continue
            columns = [[row[name] for row in kept] for name in ("group", "seed", "error")]
            compared = compare(
                columns[0], columns[1], [float(v) for v in columns[2]], baseline=baseline, level=level
            )
            for group in compared.groups:
                printed = then.get((size, group.group), {}).get(f"{baseline}_verdict")
                if printed:
                    yield Verdict(
                        where=where, size=size, method=group.group, baseline=baseline, before=printed,
                        now=group.verdict, difference=group.difference, interval=group.interval,
                    )  # fmt: skip


def tables(found: list[Verdict]) -> Iterator[str]:
    """How many verdicts there were and are, and each that changed."""
    yield "| against | in the tables above: better, worse, none shown | today: better, worse, none shown |"
    yield "|---|---:|---:|"
    for baseline, name in (("random", "random"), ("full", "everything")):
        mine = [one for one in found if one.baseline == baseline]
        counts = [", ".join(counted([getattr(one, when) for one in mine])) for when in ("before", "now")]
        yield f"| {name}, {len(mine)} comparisons | {counts[0]} | {counts[1]} |"
    yield ""
    changed = [one for one in found if one.before != one.now]
    lost = [one for one in changed if one.before in SHOWN]
    yield f"{len(changed)} of {len(found)} verdicts differ; {len(lost)} that were printed are not shown:"
    yield ""
    yield "| data | examples | method, against | then | today | difference, points |"
    yield "|---|---:|---|---|---|---|"
    for one in sorted(changed, key=lambda one: (one.before not in SHOWN, one.where, one.baseline, one.size)):
        ends = ", ".join(f"{100 * end:+.2f}" for end in one.interval)
        against = "everything" if one.baseline == "full" else one.baseline
        yield (
            f"| {one.where} | {one.size:,} | `{one.method}`, {against} | {one.before} | {one.now} | "
            f"{100 * one.difference:+.2f} [{ends}] |"
        )


def counted(verdicts: list[str]) -> list[str]:
    """How many are better, worse, neither."""
    shown = [verdicts.count(name) for name in SHOWN]
    return [str(count) for count in (*shown, len(verdicts) - sum(shown))]


if __name__ == "__main__":
    main()
