"""Benchmarks: each measures Headrace against a named peer, in one run, and prints the ratio.

A benchmark is a module of this folder with two names:

- `DESCRIPTION`: one line that says what is compared with what;
- `run(**settings) -> dict`: at least `ours` and `peer` (their unit in `unit`), `ratio` (peer / ours where less is
  better, so that more than 1 is in our favour) and `measured`, a sentence. All settings have defaults.

`python -m benchmarks NAME [--json] [setting=value ...]` runs one, `python -m benchmarks all` runs all, and
`python -m benchmarks --help` lists them. Ours and the peer take turns, and medians are compared: see
`_timing`. Modules that begin with an underscore are no benchmarks.
"""
