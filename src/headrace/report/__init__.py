"""The report: figures of an analysis, and the page that opens with the conclusions.

All that a page shows comes from an `Analysis` or a `SearchAnalysis`: this room opens no file of a run.
Importing it imports no plotting library: `write_report` and `write_search_report` do, when called.
"""

from __future__ import annotations

from headrace.report.write import write_report, write_search_report

__all__ = ["write_report", "write_search_report"]
