# Headrace: `make demo` runs the main job to a report, `make test` passes the tests. Both set up everything first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXTRAS := .venv-extras
# One thread per process: two single-threaded workers beat one process with two threads.
export OMP_NUM_THREADS ?= 1

.PHONY: help setup demo test test-slow test-extras mutants lint format bench docs clean

help:  ## what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY)  ## create .venv from the pinned lock file

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Headrace needs Python 3.11 or later, got " + sys.version.split()[0] + ": make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: $(READY)  ## the main job on the digits data, to a report in runs/demo
	$(BIN)/headrace demo --out runs/demo

test: $(READY)  ## the tests
	$(BIN)/python -m pytest -n 2

test-slow: $(READY)  ## the tests that take minutes
	$(BIN)/python -m pytest -n 2 -m "slow and not extras"

test-extras: $(EXTRAS)/.ready  ## the tests with other people's trainers and loaders, in an environment of their own
	$(EXTRAS)/bin/python -m pytest -n 2 -m extras

$(EXTRAS)/.ready: requirements.lock requirements-extras.lock pyproject.toml
	$(PYTHON) -m venv $(EXTRAS)
	$(EXTRAS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock -r requirements-extras.lock
	$(EXTRAS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(EXTRAS)/.ready

mutants: $(READY)  ## small faults in a room's code that its tests do not notice: make mutants ROOM=sampling SAMPLE=60
	nice -n 15 $(BIN)/python tests/tools/mutants.py $(ROOM) --sample $(or $(SAMPLE),60)

lint: $(READY)  ## style, types, and the order of the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: $(READY)  ## write the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)  ## every benchmark, a line of JSON each
	# Without their own dependencies: one of the peers pins packages that it does not need.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-bench.lock
	$(BIN)/python -m benchmarks all --json

docs: $(READY)  ## the documentation as a site in build/docs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check furo myst-parser sphinx
	$(BIN)/python -m sphinx -q -b html docs build/docs

clean:  ## remove the environment and the caches
	rm -rf $(VENV) $(EXTRAS) .pytest_cache .ruff_cache .hypothesis build dist
