"""Benchmarks: each measures Headrace against a named peer, in one run, and prints the ratio.

A benchmark is a module of this folder with two names:

- `DESCRIPTION`: one line that says what is compared with what;
- `run(**settings) -> dict`: at least `ours` and `peer` (their unit in `unit`), `measured`, a sentence, and
  `ratio`, more than 1 where ours is better: peer / ours where less is better. All settings have defaults.

`python -m benchmarks NAME [--json] [setting=value ...]` runs one, `python -m benchmarks all` runs all, and
`python -m benchmarks --help` lists them. Ours and the peer take turns, and medians are compared: see
`_timing`. Modules that begin with an underscore are no benchmarks.
"""
