"""The house: no two modules need each other, whether at once, lazily, or for their types only."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp


def test_no_imports_run_in_a_circle() -> None:
    graph = grimp.build_graph("headrace", cache_dir=None, exclude_type_checking_imports=False)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imported) > 200
    assert sum(map(len, imported.values())) > 1000
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as circle:
        raise AssertionError("imports run in a circle: " + " <- ".join(circle.args[1])) from None


def test_imports_within_functions_and_for_types_are_counted() -> None:
    graph = grimp.build_graph("headrace", cache_dir=None, exclude_type_checking_imports=False)
    lazy = "headrace.store.experiments"
    assert lazy in graph.find_modules_directly_imported_by("headrace.cli.experiments")
    assert "headrace.workloads" in graph.find_modules_directly_imported_by("headrace.subsets.restrict")
