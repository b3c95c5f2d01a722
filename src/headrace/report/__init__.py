"""The report: values, pictures of them, and the page that opens with the conclusions.

Importing this room imports no plotting library: `write_report` and `write_search_report` do, when called.
"""

from __future__ import annotations

from headrace.report.search_report import is_search, write_search_report
from headrace.report.write import write_report

__all__ = ["is_search", "write_report", "write_search_report"]
