"""Putting parts of an experiment together: all is checked before anything is written.

The merged folder counts once its `experiment.toml` is there, which is written last. Until then `merging.json`
says which merge was interrupted, and the same merge continues.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from headrace.errors import BusyError, InputError, InputErrors
from headrace.files import remove, write_whole
from headrace.records import Record
from headrace.sealed import read_record, write_record, write_toml
from headrace.specs.experiment import Experiment
from headrace.specs.extending import differences as key_differences
from headrace.specs.shares import Share, studies_of
from headrace.store import lock
from headrace.store.changes import differences
from headrace.store.checkpoints import folder
from headrace.store.experiments import (
    EXPERIMENT,
    FACTS,
    MERGING,
    StoredExperiment,
    load,
    write_trials,
)
from headrace.store.facts import WorkloadFacts
from headrace.store.leftovers import work_in
from headrace.store.parts import Part
from headrace.store.records import TrialRecord
from headrace.store.shares import FILE as SHARE
from headrace.store.shares import read_share


class Mark(Record):
    """Says that a merge was begun.

    Attributes:
        experiment: The digest of the experiment.
    """

    experiment: str


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A folder with a part of an experiment.

    Attributes:
        share: Which part.
        stored: What it holds.
        facts: Its workload's.
    """

    share: Share
    stored: StoredExperiment
    facts: WorkloadFacts


def merge(directory: str | Path, folders: Sequence[Path]) -> None:
    """Put the parts of an experiment together; the merged folder is as if one run had made it.

    Args:
        directory: The folder to make; if the same parts were merged into it before, nothing changes.
        folders: The parts' folders, in any order. They are left as they are.

    Raises:
        InputErrors: The folders are not all parts of one experiment on one workload, each exactly once.
        InputError: The folder to make holds something else.
        DamagedError: A part is truncated or was altered.
        BusyError: One of the folders is in use.
        StorageError: The disk is full, or the folder cannot be written; the same command continues.
    """
    directory = Path(directory)
    _check_folders(directory, folders)
    pieces = _pieces(folders)
    trials = {piece.share.number: list(_trials(piece, pieces[0].facts)) for piece in pieces}
    with lock.exclusive(directory):
        experiment = pieces[0].stored.experiment
        if (directory / EXPERIMENT).exists():
            _check_same(directory, [part for piece in pieces for part in piece.stored.records])
            remove(directory / MERGING)
            return
        _begin(directory, experiment)
        for piece in pieces:
            for part, records in trials[piece.share.number]:
                write_trials(directory, records, part.measurements(), part=int(part.path.stem))
            _copy_checkpoints(piece, directory)
        write_record(directory / FACTS, _merged([piece.facts for piece in pieces]), indent=2)
        write_toml(directory / EXPERIMENT, experiment.to_toml())
        remove(directory / MERGING)


def _check_folders(directory: Path, folders: Sequence[Path]) -> None:
    errors: list[InputError] = []
    seen: dict[Path, Path] = {}
    for place in folders:
        path = place.resolve()
        if path == directory.resolve():
            what, fix = "the merged folder cannot be one of the parts", "Choose a new folder."
            errors.append(InputError(what, where=str(place), fix=fix))
        elif path in seen:
            what, fix = "the same folder is given twice", "Give each part once."
            errors.append(InputError(what, where=str(place), fix=fix))
        seen[path] = place
    if errors:
        raise InputErrors(errors, where="headrace merge")


def _pieces(folders: Sequence[Path]) -> list[Piece]:
    """The parts in their order.

    Raises:
        InputErrors: See `merge`.
    """
    stored = [_loaded(place) for place in folders]
    shared = [(found, found.share) for found in stored if found.share is not None]
    errors = [
        InputError(
            "holds a whole experiment and is not a part of one",
            where=str(found.directory),
            fix=f"Parts are made by `headrace run --part K/N` (they hold {SHARE}).",
        )
        for found in stored
        if found.share is None
    ]
    shared.sort(key=lambda pair: pair[1].number)
    if not errors:
        errors = [*_of_others(shared), *_overlaps(shared)]
    if not errors:
        errors = [*_gaps(shared), *_unfinished(shared)]
    if errors:
        raise InputErrors(errors, where="headrace merge")
    return [
        Piece(share=share, stored=found, facts=found.facts)
        for found, share in shared
        if found.facts is not None
    ]


def _loaded(place: Path) -> StoredExperiment:
    holder = lock.holder(place)
    if holder is not None:
        fix = "Wait until it ends."
        raise BusyError(f"is in use by process {holder}", where=str(place), fix=fix)
    return load(place)


Shared = Sequence[tuple[StoredExperiment, Share]]


def _of_others(shared: Shared) -> Iterator[InputError]:
    """Parts of another experiment, of another division, or on another workload than the first."""
    first, share = shared[0]
    for found, its in shared[1:]:
        there, here = first.experiment, found.experiment
        differ = key_differences(there, here) or ", ".join(
            key for key in ("report", "replicates", "grid") if getattr(there, key) != getattr(here, key)
        )
        if differ:
            what = f"is a part of another experiment than {first.directory}; they differ in {differ}"
        elif its.of != share.of:
            what = f"is one of {its.of} parts, and {first.directory} is one of {share.of}: they overlap"
        else:
            what = _other_workload(first, found)
        if what:
            yield InputError(what, where=str(found.directory), fix="Leave it out, or run this part again.")


def _other_workload(first: StoredExperiment, found: StoredExperiment) -> str:
    if first.facts is None or found.facts is None:
        return ""
    differ = differences(first.facts, found.facts)
    if first.facts.packs != found.facts.packs:
        differ = [*differ, "how many trials are trained as one"]
    what = f"was trained on another workload than {first.directory}: {'; '.join(differ)}"
    return what if differ else ""


def _overlaps(shared: Shared) -> Iterator[InputError]:
    for (found, share), (other, its) in zip(shared[1:], shared, strict=False):
        if share == its:
            what = f"and {other.directory} are both part {share}"
            yield InputError(what, where=str(found.directory), fix="Give each part once.")
    for found, share in shared:
        mine = {study.name for study in studies_of(found.experiment, share)}
        for study in sorted(study for study, parts in found.parts.items() if parts and study not in mine):
            what = f"holds trials of study {study}, which belongs to another part than {share}"
            fix = "Remove them; each study is trained in one part."
            yield InputError(what, where=str(found.directory), fix=fix)


def _gaps(shared: Shared) -> Iterator[InputError]:
    first, share = shared[0]
    there = {its.number for _, its in shared}
    for number in sorted(set(range(1, share.of + 1)) - there):
        place = first.directory.parent / f"part-{number}-of-{share.of}"
        command = _command(first.directory, place, Share(number=number, of=share.of))
        yield InputError(f"part {number}/{share.of} is missing", fix=f"Make it: {command}")


def _unfinished(shared: Shared) -> Iterator[InputError]:
    for found, share in shared:
        keys = found.studies()
        left = [key for key in keys if found.facts is None or found.judgement(key) is None]
        if left:
            yield InputError(
                f"{len(left)} of its {len(keys)} studies are not decided yet",
                where=str(found.directory),
                fix=f"Finish it: {_command(found.directory, found.directory, share)}",
            )


def _command(file: Path, out: Path, share: Share) -> str:
    return f"headrace run {quote(str(file / EXPERIMENT))} --out {quote(str(out))} --part {share}"


def _trials(piece: Piece, facts: WorkloadFacts) -> Iterator[tuple[Part, list[TrialRecord]]]:
    """Each part of the store with its records as they are merged; its measurements are checked.

    Workloads that count as the same can have fingerprints that differ in digits that machines round: the
    merged folder keeps one of them, and every trial carries the digest of that.
    """
    for key in piece.stored.studies():
        for part in piece.stored.parts[key.name]:
            part.measurements()
            yield (
                part,
                [
                    record.model_copy(update={"fingerprint": facts.digest})
                    if record.fingerprint == piece.facts.digest
                    else record
                    for record in part.content.records
                ],
            )


def _merged(facts: Sequence[WorkloadFacts]) -> WorkloadFacts:
    """The facts of the merged folder: the first part's, with the changes that any part accepted."""
    changes = tuple(dict.fromkeys(change for one in facts for change in one.changes))
    return facts[0].model_copy(update={"changes": changes})


def _check_same(directory: Path, records: Sequence[TrialRecord]) -> None:
    """Check that a folder holds these trials and no others.

    Raises:
        InputError: It does not.
    """
    there = {_trained(record) for record in load(directory).records}
    if read_share(directory) is not None or there != {_trained(record) for record in records}:
        raise InputError(
            "holds an experiment already, with other trials than these parts",
            where=str(directory),
            fix="Choose a new folder.",
        )


def _trained(record: TrialRecord) -> str:
    return record.model_dump_json(exclude={"fingerprint"})


def _begin(directory: Path, experiment: Experiment) -> None:
    """Mark the folder as one that is being merged into.

    Raises:
        InputError: It holds other work.
    """
    mark = read_record(directory / MERGING, Mark, fix="Choose a new folder.", older=False)
    if mark is None and (left := work_in(directory)) is not None:
        fix = "Choose a new folder."
        raise InputError(f"holds work of an experiment ({left})", where=str(directory), fix=fix)
    if mark is not None and mark.experiment != experiment.digest():
        what, fix = "a merge of another experiment into this folder was interrupted", "Choose a new folder."
        raise InputError(what, where=str(directory), fix=fix)
    write_record(directory / MERGING, Mark(experiment=experiment.digest()))


def _copy_checkpoints(piece: Piece, directory: Path) -> None:
    for key in piece.stored.studies():
        for record in piece.stored.study_records(key.name):
            there = folder(piece.stored.directory, key.name, record.trial)
            for path in there.glob("step-*.safetensors"):
                write_whole(directory / path.relative_to(piece.stored.directory), path.read_bytes())
