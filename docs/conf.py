"""Sphinx: the pages of this folder as a site (`make docs`)."""

project = "Headrace"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Headrace"
exclude_patterns = ["_build"]
suppress_warnings = ["myst.xref_missing"]
