"""Did the search pay? Each method against random and against everything, over seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from headrace.analysis.chosen import chosen_results, conclude_chosen
from headrace.analysis.comparison import LEAST_SEEDS, Comparison, GroupResult, compare
from headrace.analysis.origins import warn_of_search
from headrace.analysis.studies import FORWARD
from headrace.analysis.words import beside, listed, number
from headrace.csv_cells import csv_text
from headrace.files import guarded, write_whole
from headrace.specs.methods import Method
from headrace.store.outcome import Measured, Outcome, Transferred

LEVEL = 0.95
NAMED = 4
"""How many methods a sentence names; more are counted."""


def conclude(outcome: Outcome) -> dict[str, Any]:
    """The results of a search as plain data; the sentences under `conclusions` come first, then `verdicts`.

    Nothing in it depends on how long anything took or on how often the search was interrupted.
    """
    comparisons = _comparisons(outcome)
    return {
        "format": 1,
        "conclusions": [
            _headline(outcome, comparisons),
            *(_transfer_headline(outcome, other) for other in outcome.transfers),
            *_cost_sentences(outcome),
            *(conclude_chosen(outcome.chosen) if outcome.chosen else []),
            *warn_of_search(outcome),
        ],
        "verdicts": list(_verdicts(outcome, comparisons)),
        "workload": outcome.spec.workload.name,
        "metric": outcome.facts.metric,
        "examples": outcome.facts.examples,
        "seeds": len(outcome.spec.repeats),
        "acquisition": list(outcome.spec.groups),
        "methods": [_method(method) for method in outcome.spec.methods],
        "subset": None if outcome.subset is None else outcome.subset.name,
        "waiting_for_labels": 0 if outcome.waiting is None else outcome.waiting.missing,
        "table": table(outcome),
        "comparisons": _plain(comparisons),
        "transfers": [_transferred(outcome, other) for other in outcome.transfers],
        "cost": {
            "planned": [asdict(cost) for cost in outcome.plan],
            "spent": [asdict(cost) for cost in outcome.spent],
            "examples_trained": outcome.trained,
            "examples_scored": outcome.scored,
        },
        "chosen": chosen_results(outcome.chosen) if outcome.chosen else [],
    }


def _plain(comparisons: dict[tuple[int, str], Comparison]) -> list[dict[str, Any]]:
    return [{"size": size, **comparison.to_dict()} for (size, _), comparison in comparisons.items()]


def _as_if(outcome: Outcome, other: Transferred) -> Outcome:
    """The outcome with a transfer's comparison in place of its own."""
    return replace(outcome, facts=other.facts, measured=other.measured, transfers=())


def _transferred(outcome: Outcome, other: Transferred) -> dict[str, Any]:
    alike = _as_if(outcome, other)
    comparisons = _comparisons(alike)
    return {
        "name": other.name,
        "metric": other.facts.metric,
        "conclusions": [_headline(alike, comparisons)],
        "verdicts": list(_verdicts(alike, comparisons)),
        "table": table(alike),
        "comparisons": _plain(comparisons),
    }


def _transfer_headline(outcome: Outcome, other: Transferred) -> str:
    alike = _as_if(outcome, other)
    return f"With {other.name} trained on the same subsets: {_headline(alike, _comparisons(alike))}"


def _method(method: Method) -> dict[str, Any]:
    select = {"name": method.select.name, **method.select.settings}
    return {"name": method.label, "acquisition": method.acquisition, "select": select}


def write(outcome: Outcome) -> dict[str, Any]:
    """Write `results.json`, `comparison.csv` and `report.md` into the search's folder; returns the results.

    Raises:
        StorageError: A file cannot be written.
    """
    results, folder = conclude(outcome), outcome.directory
    with guarded(folder):
        write_whole(folder / "results.json", json.dumps(results, indent=2, ensure_ascii=False).encode())
        write_whole(folder / "comparison.csv", _csv(outcome.measured))
        for other in outcome.transfers:
            write_whole(folder / f"comparison-{other.name}.csv", _csv(other.measured))
        write_whole(folder / "report.md", markdown(results).encode())
    return results


def _csv(measured: Sequence[Measured]) -> bytes:
    rows = [(m.group, m.size, m.seed, m.metric) for m in measured]
    return csv_text(("group", "size", "seed", "metric"), rows).encode()


def table(outcome: Outcome) -> list[dict[str, Any]]:
    """One row for each group and size: the mean over seeds, with Student's 95% interval of the mean."""
    rows: list[dict[str, Any]] = []
    for (group, size), measured in _by_cell(outcome.measured).items():
        values = [one.metric for one in measured]
        mean = math.fsum(values) / len(values)
        half = _half_width(values)
        rows.append(
            {
                "group": group,
                "size": size,
                "share": size / outcome.facts.examples,
                "mean": mean,
                "interval": None if half is None else [mean - half, mean + half],
                "seeds": len(values),
            }
        )
    return rows


def markdown(results: dict[str, Any]) -> str:
    """The results as a page of Markdown: the conclusions, then the tables."""
    lines = [f"# Subset search on {results['workload']}", ""]
    lines += [f"- {sentence}" for sentence in results["conclusions"] + results["verdicts"]]
    if results["table"]:
        lines += ["", f"## {results['metric']} against the size of the subset", ""]
        lines += ["| group | examples | share | mean | 95% interval | seeds |", "|---|---|---|---|---|---|"]
        lines += [f"| {' | '.join(row)} |" for row in table_rows(results)]
    for other in results["transfers"]:
        lines += ["", f"## Trained on the same subsets: {other['name']}", ""]
        lines += [f"- {sentence}" for sentence in other["conclusions"] + other["verdicts"]]
        lines += [
            "",
            "| group | examples | share | mean | 95% interval | seeds |",
            "|---|---|---|---|---|---|",
        ]
        lines += [f"| {' | '.join(row)} |" for row in table_rows(other)]
    lines += ["", "## Cost of the first seed", ""]
    lines += ["| seed | group | stage | examples | trained | scored | labels |", "|" + "---|" * 7]
    for cost in results["cost"]["spent"]:
        if cost["seed"] == 0:
            cells = (f"{v:,}" if isinstance(v, int) else str(v) for v in cost.values())
            lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "Work that groups share counts in each of them; `results.json` has the sums without."]
    return "\n".join(lines) + "\n"


def table_rows(results: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table's rows as text: group, examples, share, mean, interval, seeds."""
    return [
        (
            row["group"],
            f"{row['size']:,}",
            f"{row['share']:.1%}",
            f"{row['mean']:.4f}",
            "-" if row["interval"] is None else f"[{row['interval'][0]:.4f}, {row['interval'][1]:.4f}]",
            str(row["seeds"]),
        )
        for row in results["table"]
    ]


def _by_cell(measured: Sequence[Measured]) -> dict[tuple[str, int], list[Measured]]:
    cells: dict[tuple[str, int], list[Measured]] = {}
    for one in measured:
        cells.setdefault((one.group, one.size), []).append(one)
    return cells


def _half_width(values: Sequence[float]) -> float | None:
    from scipy.special import stdtrit

    count = len(values)
    if count < 2:
        return None
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return float(stdtrit(count - 1, (1 + LEVEL) / 2)) * math.sqrt(variance / count)


def _acquired(outcome: Outcome) -> list[int]:
    """The sizes that were searched for, and not drawn at random."""
    sizes = sorted({m.size for m in outcome.measured if m.group in outcome.spec.groups})
    return sizes[outcome.spec.first_acquired :]


def _comparisons(outcome: Outcome) -> dict[tuple[int, str], Comparison]:
    """(size, baseline) -> every other group of that size against it.

    Corrected for groups, for sizes, and for the baselines, since the headline speaks of all together.
    """
    sizes, cells = _acquired(outcome), _by_cell(outcome.measured)
    if len(outcome.spec.repeats) < LEAST_SEEDS:
        return {}
    there = {m.group for m in outcome.measured}
    baselines = [baseline for baseline in ("random", "full") if baseline in there]
    level = 1 - (1 - LEVEL) / max(1, len(sizes) * len(baselines))
    found: dict[tuple[int, str], Comparison] = {}
    for size in sizes:
        rows = [m for (group, own), ms in cells.items() for m in ms if own == size or group == "full"]
        for baseline in baselines:
            used = [m for m in rows if baseline == "full" or m.group != "full"]
            if any(m.group == baseline for m in used):
                found[size, baseline] = compare(
                    [m.group for m in used],
                    [m.seed for m in used],
                    [m.metric for m in used],
                    baseline=baseline,
                    level=level,
                )
    return found


def _headline(outcome: Outcome, comparisons: dict[tuple[int, str], Comparison]) -> str:
    """The verdict on the search as a whole."""
    if outcome.waiting is not None:
        files = listed([str(path) for path in outcome.waiting.tasks])
        return f"{outcome.waiting.missing:,} labels are missing; the questions are in {files}."
    if outcome.spec.comparison is None:
        return "Nothing was compared, so whether this subset is better than a random one is not known."
    if not comparisons:
        few = "One seed does" if len(outcome.spec.repeats) == 1 else "Two seeds do"
        return f"{few} not separate effect from chance: ask for at least three in [comparison], better five."
    seeds, better = len(outcome.spec.repeats), _verdict_of(outcome, comparisons, "random", "better")
    if not better:
        worse = _verdict_of(outcome, comparisons, "random", "worse")
        than = f", and {_some(outcome, worse)} did worse" if worse else ""
        return (
            f"Not worth it here, as far as {seeds} seeds can show: no searched subset did better than a "
            f"random one as large{than}{_beside_everything(outcome, comparisons)}."
        )
    return (
        f"Worth a look: in {seeds} seeds {_some(outcome, better)} did better than a random subset as large"
        f"{_beside_everything(outcome, comparisons)}."
    )


def _beside_everything(outcome: Outcome, comparisons: dict[tuple[int, str], Comparison]) -> str:
    if not any(baseline == "full" for _, baseline in comparisons):
        return ""
    better = _verdict_of(outcome, comparisons, "full", "better")
    return (
        f", and {_some(outcome, better)} better than everything"
        if better
        else ", none better than everything"
    )


def _verdict_of(
    outcome: Outcome, comparisons: dict[tuple[int, str], Comparison], baseline: str, verdict: str
) -> list[str]:
    """The methods that came to a verdict against a baseline at any size."""
    found = [
        group.group
        for (_, against), comparison in comparisons.items()
        if against == baseline
        for group in comparison.groups
        if group.verdict == verdict
    ]
    return [name for name in outcome.spec.groups if name in found]


def _some(outcome: Outcome, names: Sequence[str]) -> str:
    return listed(names) if len(names) <= NAMED else f"{len(names)} of {len(outcome.spec.groups)} methods"


def _verdicts(outcome: Outcome, comparisons: dict[tuple[int, str], Comparison]) -> Iterator[str]:
    """One sentence for each baseline and size, the baseline's own value first."""
    metric = outcome.facts.metric.replace("/", " ")
    for baseline, words in (("random", "a random subset"), ("full", "everything")):
        for (size, against), comparison in comparisons.items():
            if against == baseline:
                share = f"{size / outcome.facts.examples:.1%}"
                mean = f"{metric} {number(comparison.baseline_mean)}"
                said = "; ".join(_by_verdict(outcome, comparison))
                yield f"{size:,} examples ({share}) against {words} ({mean}): {said}."


def _by_verdict(outcome: Outcome, comparison: Comparison) -> Iterator[str]:
    """The methods that came to the same verdict, the best first."""
    methods = [group for group in comparison.groups if group.group in outcome.spec.groups]
    for verdict in ("better", "no difference shown", "worse"):
        alike = sorted((g for g in methods if g.verdict == verdict), key=lambda group: group.difference)
        if alike:
            yield f"{verdict}: {', '.join(map(_difference, alike))}"


def _difference(group: GroupResult) -> str:
    low, high = group.interval
    said = f"{group.group} {group.difference:+.3g} [{low:+.3g}, {high:+.3g}]"
    if group.verdict != "no difference shown":
        return said
    enough = f"{number(group.detectable_difference)} {beside(group.detectable_interval)}"
    return f"{said} (these seeds would have shown {enough})"


def _cost_sentences(outcome: Outcome) -> Iterator[str]:
    """What one search cost, compared with training on everything; nothing before it has trained or scored."""
    if outcome.waiting is not None and not outcome.trained:
        return
    group = outcome.spec.groups[0]
    mine = [c for c in outcome.spent if c.seed == 0 and c.group == group and c.stage == "search"]
    trained, scored = sum(c.examples_trained for c in mine), sum(c.examples_scored for c in mine)
    sentence = f"One search ({group}) trained on {trained:,} examples and scored {scored:,}"
    full = next((c.examples_trained for c in outcome.spent if c.group == "full"), None)
    runs = outcome.spec.training.runs if outcome.spec.training else 1
    if full:
        times = (trained + FORWARD * scored) / (full / runs)
        sentence += (
            f", as much as {number(times)} runs on everything "
            "(scoring an example counted as a third of training on it)"
        )
    yield f"{sentence}."
    bought = sum(c.labels_bought for c in mine)
    if bought:
        yield f"It bought {bought:,} labels."
