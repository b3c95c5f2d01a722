"""Tables that experiment trackers export: by which names their columns go, and which runs finished.

- Weights & Biases, runs table: `Name,State,..`, then settings and metrics under their own names; a chart's
  export has `Step` and a column `RUN - METRIC` per run.
- MLflow, page: `Start Time,Duration,Run ID,Name,..,Status`, then parameters, metrics and tags; `mlflow
  experiments csv` and `search_runs`: `run_id,experiment_id,status,..`, `params.*`, `metrics.*`, `tags.*`.
- TensorBoard, scalars: `Wall time,Step,Value`, one curve per file.
- Optuna: `number,value,..,state`, `params_*`, `user_attrs_*`.
- Ray Tune: `trial_id,done,..`, `config/*`. Neptune: `sys/state`. Slurm (sacct): `State`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from headrace.csv_tables import CsvTable, Row, raise_all
from headrace.errors import InputError

_PREFIXES = (
    "params.",
    "metrics.",
    "tags.",
    "config.",
    "config/",
    "summary.",
    "summary/",
    "params_",
    "user_attrs_",
)
_STATE = re.compile(r"(?:.*[./_ ])?(?:state|status)", re.IGNORECASE)
"""Columns of states: `State`, `status`, `sys/state`, `attributes_status`."""
_DONE = re.compile(r"(?:.*[./_ ])?done", re.IGNORECASE)
_REACHED = re.compile(
    r"(?:.*[./_ ])?(?:reached|converged|(?:reached|met|hit)[_ ](?:the[_ ])?goal|goal[_ ](?:met|hit))",
    re.IGNORECASE,
)
"""Columns that say whether a run reached the goal: `reached`, `goal_reached`, `summary/converged`."""
_NOT = frozenset({"false", "no", "n", "f", "0", "0.0"})
_RUN = re.compile(r"(?:run|trial)[ _]?(?:id|uuid)", re.IGNORECASE)
_FINISHED = re.compile("finished|completed?|success(?:ful)?|succeeded|done", re.IGNORECASE)
_UNFINISHED = re.compile(
    "running|crashed|fail(ed|ure)?|killed|preempt(ed|ing)|pending|queued|scheduled|waiting|stopped|pruned|aborted|"
    "cancell?ed|terminated|error|infeasible|incomplete|oom|timeout|unfinished",
    re.IGNORECASE,
)


def resolved(table: CsvTable, wanted: Mapping[str, str]) -> list[str]:
    """The columns of a table that go by these names, also under the prefix of a tracker (`params.seed`).

    Args:
        table: The table.
        wanted: The command's option -> the name that is looked for.

    Raises:
        InputError: A column is missing, or several go by a name; the option that names it is said.
    """
    names = [_resolve(table, option, name) for option, name in wanted.items()]
    options = [option for option, name in zip(wanted, names, strict=True) if name not in table.columns]
    fix = f"Name the columns of your table with {', '.join(wanted)}; missing: {', '.join(options)}."
    table.require(names, fix=fix)
    if len(set(names)) < len(names):
        raise InputError("must be different columns", where=", ".join(wanted), got=names)
    return names


def _resolve(table: CsvTable, option: str, name: str) -> str:
    if name in table.columns:
        return name
    found = [prefix + name for prefix in _PREFIXES if prefix + name in table.columns]
    if len(found) > 1:
        raise InputError(
            f"several columns go by the name {name!r}",
            where=f"{table.path}, line {table.header_line}",
            got=found,
            fix=f"Name one with {option}.",
        )
    return found[0] if found else name


def check_one_row_per_run(table: CsvTable) -> None:
    """Refuse the export of curves: its rows are steps, not runs.

    Raises:
        InputError: It is TensorBoard's or W&B's export of a chart.
    """
    lower = {name.lower() for name in table.columns}
    if lower >= {"wall time", "step", "value"}:
        what = "this is TensorBoard's export of one curve: its rows are steps, not runs"
    elif any(name.endswith(("__MIN", "__MAX")) for name in table.columns):
        what = "this is W&B's export of a chart: its rows are steps, not runs"
    else:
        return
    raise InputError(
        what,
        where=f"{table.path}, line {table.header_line}",
        got=table.names,
        fix="Make a table with one row per run, for example group,seed,metric, with one value each.",
    )


def finished(table: CsvTable, rows: Sequence[Row], *, but: Sequence[str]) -> Sequence[Row]:
    """The rows, if every run among them finished; the last value of another run is not its result.

    Args:
        table: The table.
        rows: The rows that count.
        but: Columns by which rows were chosen: if the state is one of them, the user has decided.

    Raises:
        InputErrors: Every run that did not finish, by its line, and the option that leaves it out.
    """
    for column in table.columns:
        if column in but or not (_STATE.fullmatch(column) or _DONE.fullmatch(column)):
            continue
        table.require((column,))
        words = {cells[column] for _, cells in rows}
        good = sorted(word for word in words if _is_finished(column, word))
        fix = f"Leave such runs out with --only {column}={good[0] if good else 'VALUE'}, or wait for them."
        # Once a column is known to hold states, another word in it is none that has finished.
        bad = words - set(good) if good else {word for word in words if _is_unfinished(column, word)}
        errors = [
            InputError("this run did not finish", where=table.place(line, column), got=cells[column], fix=fix)
            for line, cells in rows
            if cells[column] in bad
        ]
        raise_all(errors, table.path)
    return rows


def _is_finished(column: str, word: str) -> bool:
    return word.lower() == "true" if _DONE.fullmatch(column) else _FINISHED.fullmatch(word) is not None


def _is_unfinished(column: str, word: str) -> bool:
    return word.lower() == "false" if _DONE.fullmatch(column) else _UNFINISHED.fullmatch(word) is not None


def check_reached(table: CsvTable, rows: Sequence[Row], *, but: Sequence[str]) -> None:
    """Refuse steps of runs that did not reach the goal: they are the budget, not steps to the goal.

    Args:
        table: The table.
        rows: The rows that count.
        but: Columns by which rows were chosen, or which hold the numbers.

    Raises:
        InputErrors: Every such run, by its line, and the option that leaves it out.
    """
    for column in table.columns:
        if column in but or not _REACHED.fullmatch(column):
            continue
        table.require((column,))
        good = next((cells[column] for _, cells in rows if cells[column].lower() not in {*_NOT, ""}), "True")
        fix = f"Leave such runs out with --only {column}={good}."
        errors = [
            InputError(
                "this run did not reach the goal", where=table.place(line, column), got=cells[column], fix=fix
            )
            for line, cells in rows
            if cells[column].lower() in _NOT
        ]
        raise_all(errors, table.path)


def check_no_curves(table: CsvTable, rows: Sequence[Row], batch_size: str) -> None:
    """Refuse several rows of one run at one batch size: they are steps of it, not replicates.

    Args:
        table: The table.
        rows: The rows that count.
        batch_size: The column of batch sizes.

    Raises:
        InputError: The run, and the two lines.
    """
    for column in table.columns:
        if not _RUN.fullmatch(column) or column == batch_size or table.columns.count(column) > 1:
            continue
        first: dict[tuple[str, str], int] = {}
        for line, cells in rows:
            before = first.setdefault((cells[column], cells[batch_size]), line)
            if cells[column] and before != line:
                raise InputError(
                    f"the same run as in line {before}: rows must be runs, not steps of them",
                    where=table.place(line, column),
                    got=cells[column],
                    fix="Keep the row in which the run reached the goal.",
                )
