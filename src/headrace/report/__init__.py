"""The report: values, pictures of them, and the page that opens with the conclusions.

Importing this room imports no plotting library: `write_report` does, when it is called.
"""

from __future__ import annotations

from headrace.report.write import write_report

__all__ = ["write_report"]
