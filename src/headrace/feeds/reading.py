"""A feed log as arrays: what was really trained on, without what resumes discarded. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from headrace.errors import InputError
from headrace.sealed_tables import read_table


@dataclass(frozen=True, kw_only=True)
class Feed:
    """Rows in the order in which they were fed: by step, then by rank.

    Attributes:
        num_examples: Examples in the training set.
        draws: Whether examples are drawn, so that some may come twice.
        steps: The step of each row [rows].
        epochs: Its epoch [rows].
        ranks: The process that was fed it [rows].
        examples: Its index in the training set [rows].
        losses: The loss of its batch, NaN if unknown [rows].
        resumes: The first step of each process after the first.
        discarded: Rows that a resume discarded.
    """

    num_examples: int
    draws: bool
    steps: Int[np.ndarray, " rows"]
    epochs: Int[np.ndarray, " rows"]
    ranks: Int[np.ndarray, " rows"]
    examples: Int[np.ndarray, " rows"]
    losses: Float[np.ndarray, " rows"]
    resumes: tuple[int, ...] = ()
    discarded: int = 0


@dataclass
class _Session:
    """What one process recorded."""

    rank: int
    ranks: int
    opened: float
    tables: list[dict[str, np.ndarray]] = field(default_factory=list[dict[str, np.ndarray]])

    @property
    def first(self) -> int:
        return min(int(table["step"].min()) for table in self.tables)


def read(folder: Path) -> Feed:
    """The log in a folder.

    Raises:
        InputError: There is none, or its parts are of different training sets.
        DamagedError: A part was truncated or altered.
    """
    paths = sorted(folder.glob("rank-*/part-*-*.parquet"))
    if not paths:
        raise InputError(
            "holds no feed log",
            where=str(folder),
            fix="Give the folder of a headrace.FeedLog; its close() or flush() writes what is in memory.",
        )
    sessions: dict[tuple[int, str], _Session] = {}
    facts: set[tuple[str, str]] = set()
    for path in paths:
        frame, about = read_table(path, "rows of a feed log")
        facts.add((about["examples"], about["draws"]))
        rank = int(about["rank"])
        key = (rank, path.stem.split("-")[1])
        session = sessions.setdefault(key, _Session(rank, int(about["ranks"]), float(about["opened"])))
        session.tables.append({name: frame[name].to_numpy() for name in frame.columns})
    if len(facts) > 1:
        raise InputError("its parts are of different training sets", where=str(folder), got=sorted(facts))
    ((examples, draws),) = facts
    return _joined(_launches(list(sessions.values())), int(examples), draws == "True")


def _launches(sessions: list[_Session]) -> list[list[_Session]]:
    """Sessions that were started together, in the order of time."""
    launches: list[list[_Session]] = []
    for session in sorted(sessions, key=lambda one: one.opened):
        latest = launches[-1] if launches else []
        # A process whose rank was given does not know how many there are.
        size = max((one.ranks for one in latest), default=0)
        full = not latest or 0 < size <= len(latest)
        if full or session.rank in {one.rank for one in latest}:
            launches.append([session])
        else:
            latest.append(session)
    return launches


def _joined(launches: list[list[_Session]], num_examples: int, draws: bool) -> Feed:
    firsts = [min(session.first for session in launch) for launch in launches]
    columns: dict[str, list[np.ndarray]] = {"step": [], "epoch": [], "example": [], "loss": [], "rank": []}
    discarded = 0
    for place, launch in enumerate(launches):
        end = min(firsts[place + 1 :], default=None)
        for session in launch:
            for table in session.tables:
                kept = np.ones(len(table["step"]), bool) if end is None else table["step"] < end
                discarded += int((~kept).sum())
                for name, values in table.items():
                    columns[name].append(values[kept])
                columns["rank"].append(np.full(int(kept.sum()), session.rank, np.int32))
    rows = {name: np.concatenate(parts) for name, parts in columns.items()}
    order = np.lexsort((rows["rank"], rows["step"]))
    return Feed(
        num_examples=num_examples,
        draws=draws,
        steps=rows["step"][order],
        epochs=rows["epoch"][order],
        ranks=rows["rank"][order],
        examples=rows["example"].astype(np.int64)[order],
        losses=rows["loss"][order],
        resumes=tuple(firsts[1:]),
        discarded=discarded,
    )
