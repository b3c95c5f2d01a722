"""A plan as plain JSON: the keys that `headrace run FILE --plan --json` prints, see docs/experiments.md."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from headrace.analysis.widths import widths
from headrace.experiments.pilots import Seen
from headrace.experiments.work_plan import WorkPlan
from headrace.specs.studies import StudyKey


def plan_facts(plan: WorkPlan) -> dict[str, Any]:
    """All that a plan says."""
    stored, experiment = plan.stored, plan.stored.experiment
    seconds, interval = plan.time
    return {
        "plan": 1,
        "workload": experiment.workload.name,
        "goal": stored.goal,
        "folder": str(stored.directory),
        "part": None if stored.share is None else str(stored.share),
        "processes": plan.processes,
        "studies": {
            "asked": len(stored.studies()),
            "trained": len(stored.trained()),
            "decided": len(stored.trained()) - len(plan.left),
            "shared": stored.shared,
        },
        "trials": {
            "per_study": experiment.search.trials,
            "counted": experiment.search.trials * len(stored.trained()),
            "at_most": experiment.search.limit * len(stored.trained()),
            "stored": sum(len(stored.study_records(study.name)) for study in stored.trained()),
        },
        "replicates": _replicates(plan),
        "portraits": len(plan.portraits),
        "searches": [_search(plan, name) for name in plan.searches],
        "examples": _examples(plan),
        "bound": _bound(plan),
        "seconds": {"total": seconds, "interval": list(interval), **plan.seconds()},
        "memory": _memory(plan),
        "disk": {"bytes": plan.disk_bytes, "free": plan.room.disk_free},
        "widths": _widths(plan),
        "by_study": [_study(plan, study) for study in stored.trained()],
        "warnings": plan.warnings,
    }


def _replicates(plan: WorkPlan) -> dict[str, Any] | None:
    asked = plan.stored.experiment.replicates
    if asked is None:
        return None
    runs, choosing = plan.replicates
    return {"seeds": asked.seeds, "until": asked.until, "runs": runs, "to_choose_at_most": choosing}


def _search(plan: WorkPlan, name: str) -> dict[str, Any]:
    spec, facts = plan.searches[name], plan.stored.facts
    trained, scored = plan.search_examples(spec)
    return {
        "subset": name,
        "file": Path(plan.files[name]).name,
        "examples": None if facts is None else facts.examples_in(name),
        "examples_trained": trained,
        "examples_scored": scored,
        "seconds": plan.search_seconds(spec) / plan.calibration.processes,
    }


def _examples(plan: WorkPlan) -> dict[str, Any]:
    value, interval = plan.examples
    return {
        "expected": round(value),
        "interval": [round(v) for v in interval],
        "at_most": plan.examples_at_most,
    }


def _bound(plan: WorkPlan) -> dict[str, Any]:
    stops = plan.stored.experiment.training.stop == "bound"
    return {
        "stops": stops,
        "saving": 1 - plan.examples[0] / plan.examples_at_most,
        "predicted_from": [_seen(seen) for seen in plan.calibration.seen] if stops else [],
    }


def _seen(seen: Seen) -> dict[str, Any]:
    return {
        "study": seen.study.name,
        "trials": seen.counted,
        "tried": seen.tried,
        "reached": seen.reached,
        "needed": seen.rank,
        "step": seen.decided,
        "decided": seen.over,
        "stored": seen.stored,
    }


def _memory(plan: WorkPlan) -> dict[str, Any]:
    room = plan.room
    return {
        "per_process": room.per_process,
        "loaded": room.loaded,
        "total": None if room.per_process is None else room.per_process * plan.processes,
        "machine": room.machine,
        "device_per_process": room.device_per_process or None,
        "device": room.device or None,
    }


def _widths(plan: WorkPlan) -> list[dict[str, Any]]:
    """Of a curve with the most batch sizes; an interval needs three."""
    trained = plan.stored.trained()
    curves = Counter(study.model_copy(update={"configuration": _one_size(study)}).name for study in trained)
    most = max(curves.values(), default=0)
    if most < 3 or plan.tuned != ("learning_rate",):
        return []
    found = widths(plan.stored.experiment.search.trials, most)
    return [{"trials": trials, "width": width} for trials, width in found.items()]


def _one_size(study: StudyKey) -> Any:
    return study.configuration.model_copy(update={"batch_size": 1})


def _study(plan: WorkPlan, study: StudyKey) -> dict[str, Any]:
    cost = plan.costs[study]
    return {
        "study": study.name,
        "finished": study not in plan.left,
        "budget": cost.budget,
        "decided": round(cost.decided),
        "trials": round(cost.trials, 1),
        "steps": round(cost.steps),
        "examples": round(cost.examples),
        "seconds": cost.seconds,
    }
