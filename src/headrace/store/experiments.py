"""The store: an experiment's folder, readable by any tool, whole after any interruption.

experiment.toml     the experiment, in canonical form, with a checksum
workload.json       the facts of the workload, with a checksum
share.json          in the folder of a part: which share of the studies it is for
lock                held by the process that runs
studies/<name>/     a part for each trial: NNNNN.json and NNNNN.parquet
portraits/<name>/   what one trial shows about every example: portrait.json and examples.parquet
replicates/         settings.json, and a record of each fresh training: <name>/NNNNN-SSSSS.json
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import InputError
from headrace.sealed import read_record, write_record, write_toml
from headrace.specs.equal import equal_studies
from headrace.specs.experiment import Experiment
from headrace.specs.extending import differences, inherit
from headrace.specs.shares import Share, studies_of
from headrace.specs.studies import StudyKey, folder_name
from headrace.store.belonging import check_asked, check_once, check_origin
from headrace.store.bound import Judgement, Rules, judge
from headrace.store.changes import settle
from headrace.store.columns import schema
from headrace.store.facts import WorkloadFacts
from headrace.store.leftovers import work_in
from headrace.store.parts import Part, finish_part, in_order, read_parts, write_part
from headrace.store.records import TrialRecord
from headrace.store.shares import check_share, read_share, write_share

if TYPE_CHECKING:
    import polars as pl

EXPERIMENT = "experiment.toml"
FACTS = "workload.json"
Extend = Callable[["StoredExperiment", Experiment], Experiment]
"""Called with what a folder holds and another experiment: the one by which it is extended; raises why not."""
MERGING = "merging.json"
"""Where a merge that was interrupted is noted, see `store.merging`."""
STUDIES = "studies"


@dataclass(frozen=True, kw_only=True)
class StoredExperiment:
    """An experiment as it is stored in a folder.

    Attributes:
        experiment: What was asked.
        facts: The workload's facts; None before the first run has loaded it.
        records: Every stored trial, by study (in the order of the experiment) and index.
        directory: The folder.
        parts: The study's name -> its parts.
        share: Which share of the studies the folder is for; None for all.
    """

    experiment: Experiment
    facts: WorkloadFacts | None
    records: tuple[TrialRecord, ...]
    directory: Path
    parts: Mapping[str, tuple[Part, ...]] = field(repr=False)
    share: Share | None = None

    @cached_property
    def measurements(self) -> pl.DataFrame:
        """All measurements: study, trial, step, the examples it took, the metrics; null where not measured.

        Raises:
            DamagedError: A part is truncated or was altered.
        """
        import polars as pl

        frames = [
            self.study_measurements(name).select(pl.lit(name).alias("study"), pl.all()) for name in self.parts
        ]
        empty = pl.DataFrame(schema={"study": pl.String, **schema(self.metric_name)})
        return pl.concat([empty, *frames], how="diagonal")

    @cached_property
    def shared(self) -> dict[str, str]:
        """Study -> the one that is trained for it, because both are the same function; see `specs.equal`.

        A study that has trials of its own keeps them.
        """
        if self.facts is None or not self.facts.workers_alike or self.experiment.grid.repeat_equal:
            return {}
        here = {study.name for study in self.studies()}
        equal = equal_studies(self.experiment).items()
        return {name: source for name, source in equal if source in here and not self.parts.get(name)}

    def trained(self) -> list[StudyKey]:
        """The studies that are trained in this folder, each once."""
        return [study for study in self.studies() if study.name not in self.shared]

    def _parts_of(self, study: str) -> tuple[Part, ...]:
        return tuple(self.parts.get(self.shared.get(study, study), ()))

    def study_measurements(self, study: str) -> pl.DataFrame:
        """One study's measurements: trial, step, the examples it took, the metrics."""
        import polars as pl

        frames = [part.measurements() for part in self._parts_of(study)]
        return pl.concat([pl.DataFrame(schema=schema(self.metric_name)), *frames], how="diagonal")

    def study_records(self, study: str) -> tuple[TrialRecord, ...]:
        """One study's trials, by index."""
        return tuple(record for part in self._parts_of(study) for record in part.content.records)

    def studies(self) -> list[StudyKey]:
        """The studies whose results this folder holds."""
        return self.experiment.studies() if self.share is None else studies_of(self.experiment, self.share)

    @property
    def metric_name(self) -> str:
        """The name of the metric that the goal is judged by."""
        return self.facts.metric_name if self.facts else "error"

    @property
    def goal(self) -> float | None:
        """The validation metric to get strictly below."""
        return self.facts.goal if self.facts else self.experiment.workload.goal

    def budget_steps(self, study: StudyKey) -> int:
        """The step budget of a trial in `study`.

        Raises:
            InputError: Nothing was run yet.
        """
        if self.facts is None:
            raise InputError("nothing was run yet", where=str(self.directory), fix="Run the experiment.")
        examples = self.facts.examples_in(study.configuration.subset)
        return self.experiment.budget_steps(study, examples, self.facts.tokens_per_example)

    def rules(self, study: StudyKey) -> Rules:
        """What decides `study`."""
        search = self.experiment.search
        return Rules(
            asked=search.trials,
            limit=search.limit,
            rank=self.experiment.rank,
            budget=self.budget_steps(study),
            order=tuple(self.experiment.order(study)) if search.before else None,
        )

    def judgement(self, study: StudyKey) -> Judgement | None:
        """One study's trials as they count, in any order of running; None while the study is undecided."""
        return judge({record.trial: record for record in self.study_records(study.name)}, self.rules(study))

    def with_facts(self, facts: WorkloadFacts) -> StoredExperiment:
        """The same after the workload's facts were stored.

        Raises:
            DamagedError: A part holds trials of another workload.
        """
        check_origin(self.experiment, facts, self.parts)
        return replace(self, facts=facts)

    def with_parts(self, written: Iterable[Part]) -> StoredExperiment:
        """The same after parts were stored, each of which replaces that of its path."""
        parts = {study: {part.path: part for part in there} for study, there in self.parts.items()}
        for part in written:
            parts[part.content.records[0].study][part.path] = part
        ordered = {study: in_order(there.values()) for study, there in parts.items()}
        return replace(self, parts=ordered, records=_records(ordered))


def study_directory(directory: Path, study: str) -> Path:
    """Where a study's parts are stored."""
    return directory / STUDIES / folder_name(study)


def create(
    directory: str | Path,
    experiment: Experiment,
    share: Share | None = None,
    *,
    extend: Extend | None = None,
) -> None:
    """Make the folder, or find it made for the same experiment.

    An experiment that never got as far as a workload, because of an error, is replaced.

    Args:
        directory: The folder.
        experiment: What is run there.
        share: Which share of its studies; None for all.
        extend: Called if the folder holds another experiment: the one by which it is extended, or raises why
            it is not.

    Raises:
        InputError: The folder holds another experiment, with the keys that differ, another share, or other
            things; or there are more shares than studies.
        StorageError: The folder cannot be written.
    """
    asked = _joined(Path(directory), experiment, share, extend)
    path = Path(directory) / EXPERIMENT
    if not _begun(Path(directory)):
        write_share(Path(directory), share)
        write_toml(path, asked.to_toml())
    elif asked != read_experiment(Path(directory)):
        write_toml(path, asked.to_toml())


def as_joined(
    directory: str | Path,
    experiment: Experiment,
    share: Share | None = None,
    *,
    extend: Extend | None = None,
) -> StoredExperiment:
    """What the folder would hold after `create` with the same arguments; nothing is written.

    Raises:
        InputError: As in `create`.
        DamagedError: A stored part is truncated or was altered.
    """
    asked = _joined(Path(directory), experiment, share, extend)
    if _begun(Path(directory)):
        return replace(load(directory), experiment=asked)
    return StoredExperiment(
        experiment=asked, facts=None, records=(), directory=Path(directory), parts={}, share=share
    )


def _begun(directory: Path) -> bool:
    """Whether the folder holds an experiment that got as far as a workload."""
    begun = (directory / FACTS).exists() or (directory / STUDIES).exists()
    return begun and (directory / EXPERIMENT).exists()


def _joined(
    directory: Path, experiment: Experiment, share: Share | None, extend: Extend | None
) -> Experiment:
    """The experiment as the folder will hold it; raises why it cannot."""
    if share is not None:
        studies_of(experiment, share)
    if (directory / "search.toml").is_file():
        raise InputError(
            "this is the folder of a subset search", where=str(directory), fix="Choose another folder."
        )
    check_merged(directory)
    if not (directory / EXPERIMENT).exists() and (left := work_in(directory)) is not None:
        raise InputError(
            f"holds work of an experiment ({left}), but not its {EXPERIMENT}",
            where=str(directory),
            fix="Put that file back, or choose another folder.",
        )
    if not _begun(directory):
        return experiment
    there = read_experiment(directory)
    experiment = inherit(there, experiment)
    if there.identity() != experiment.identity():
        if extend is None:
            raise InputError(
                f"holds another experiment; they differ in {differences(there, experiment)}",
                where=str(directory),
                fix="Choose another folder, or undo the change.",
            )
        experiment = extend(load(directory), experiment)
    check_share(directory, share)
    # What follows the studies may be changed afterwards, and subset files may have been moved.
    return experiment.model_copy(update={"subsets": there.subsets | experiment.subsets})


def check_merged(directory: Path) -> None:
    """Refuse a folder whose merge was interrupted.

    Raises:
        InputError: It is such a folder.
    """
    if (directory / MERGING).exists() and not (directory / EXPERIMENT).exists():
        fix = "Give the same `headrace merge` again: it continues."
        raise InputError("a merge into this folder was interrupted", where=str(directory), fix=fix)


def write_facts(
    directory: str | Path,
    facts: WorkloadFacts,
    *,
    carried: Collection[str | None] = (),
    finished: bool = False,
    accept_change: str | None = None,
) -> WorkloadFacts:
    """Store the workload's facts, see `changes.settle`.

    Args:
        directory: The folder.
        facts: Those of the workload that is loaded.
        carried: The fingerprints' digests in the records of the folder's trials.
        finished: Whether nothing is left to train.
        accept_change: Why a changed workload is accepted, or None.

    Returns:
        The folder's facts.

    Raises:
        InputError: Other facts are stored: the workload or its data have changed.
    """
    there = read_facts(Path(directory))
    settled = settle(there, facts, carried, where=str(directory), finished=finished, why=accept_change)
    if settled != there:
        write_record(Path(directory) / FACTS, settled, indent=2)
    return settled


def read_facts(directory: Path) -> WorkloadFacts | None:
    """The stored facts of the workload, or None.

    Raises:
        DamagedError: The file is truncated or was altered.
    """
    fix = "Delete it and run again: it is made anew."
    return read_record(directory / FACTS, WorkloadFacts, fix=fix)


def write_trials(
    directory: str | Path, records: Sequence[TrialRecord], measurements: pl.DataFrame, *, part: int
) -> Part:
    """Store trials of one study as one part.

    Args:
        directory: The folder.
        records: Trials of one study.
        measurements: Their rows: trial, step, and the metrics.
        part: The part's number; for a single trial its index.

    Raises:
        StorageError: The disk is full, or the files cannot be written.
    """
    folder = study_directory(Path(directory), records[0].study)
    return write_part(folder / f"{part:05d}.json", tuple(records), measurements)


def load(directory: str | Path) -> StoredExperiment:
    """Read an experiment's folder; the measurements are read when they are first asked for.

    Raises:
        InputError: There is no experiment in the folder.
        DamagedError: A part is truncated or was altered; it names the file and the fix.
    """
    directory = Path(directory)
    check_merged(directory)
    if not (directory / EXPERIMENT).exists():
        raise InputError("there is no experiment in this folder", where=str(directory), fix="Check the path.")
    experiment = read_experiment(directory)
    names = [study.name for study in experiment.studies()]
    parts = {name: read_parts(study_directory(directory, name), name) for name in names}
    for some in parts.values():
        check_once(some)
    facts = read_facts(directory)
    check_asked(directory / EXPERIMENT, experiment, facts)
    check_origin(experiment, facts, parts)
    return StoredExperiment(
        experiment=experiment,
        facts=facts,
        records=_records(parts),
        directory=directory,
        parts=parts,
        share=read_share(directory),
    )


def read_experiment(directory: Path) -> Experiment:
    """The experiment of a folder.

    Raises:
        InputError: There is none.
        DamagedError: It is truncated or was altered.
    """
    return Experiment.from_stored(directory / EXPERIMENT)


def finish(stored: StoredExperiment) -> None:
    """Finish the replacement of parts that was interrupted; only for the folder's single writer.

    Raises:
        StorageError: The folder cannot be written.
    """
    for parts in stored.parts.values():
        for part in parts:
            finish_part(part)


def _records(parts: Mapping[str, Sequence[Part]]) -> tuple[TrialRecord, ...]:
    return tuple(record for study in parts.values() for part in study for record in part.content.records)
