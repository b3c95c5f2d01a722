"""Whether what an experiment's folder holds belongs together: what was asked, the facts, each trial once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from headrace.errors import DamagedError
from headrace.sealed import has_seal
from headrace.specs.experiment import Experiment
from headrace.store.facts import WorkloadFacts
from headrace.store.parts import Part


def check_asked(path: Path, experiment: Experiment, facts: WorkloadFacts | None) -> None:
    """Refuse a file without a seal that asks for something else than its folder was made for.

    An extended one has another content too, and always a seal.
    """
    if facts is None or facts.experiment in (None, experiment.digest()[:16]) or has_seal(path):
        return
    raise DamagedError(
        "was altered, and its checksum was removed: the folder is that of another experiment",
        where=str(path),
        fix="Put back what Headrace wrote, or choose another folder.",
    )


def check_origin(
    experiment: Experiment, facts: WorkloadFacts | None, parts: Mapping[str, Sequence[Part]]
) -> None:
    """Refuse trials of another experiment, in other packs, or on another workload than the folder's.

    Records of older versions say neither, and are accepted if the folder has such records.
    """
    own = (facts.experiment if facts else None) or experiment.digest()[:16]
    for part in (part for study in parts.values() for part in study):
        for record in part.content.records:
            fits = facts is None or facts.fingerprint is None or record.fingerprint in facts.known
            if record.experiment not in (None, own) or not fits:
                other = "workload" if record.experiment in (None, own) else "experiment"
                raise DamagedError(
                    f"holds trials of another {other}, which cannot be used here",
                    where=str(part.path),
                    fix=f"Move {part.path.name} and {part.path.with_suffix('.parquet').name} out of this "
                    "folder, or give another folder with --out.",
                )
            pack = record.pack if facts is None else facts.packs.get(record.study, 1)
            if record.pack != pack:
                raise DamagedError(
                    f"holds a trial of a pack of {record.pack}, and this study has packs of {pack}",
                    where=str(part.path),
                    fix=f"Move {part.path.name} and {part.path.with_suffix('.parquet').name} out of this "
                    "folder: only their trials are repeated.",
                )


def check_once(parts: Iterable[Part]) -> None:
    """Refuse a trial that two parts hold, such as a copy under another number: it would be measured twice."""
    first: dict[int, Path] = {}
    for part in parts:
        for record in part.content.records:
            before = first.setdefault(record.trial, part.path)
            if before != part.path:
                copy = f"{part.path.name} and {part.path.with_suffix('.parquet').name}"
                raise DamagedError(
                    f"holds trial {record.trial}, which is in {before.name} too",
                    where=str(part.path),
                    fix=f"Move the copy, {copy}, out of this folder.",
                )
