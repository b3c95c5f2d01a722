"""Experiments: the experiment file, the search space, the store, and the runner.

Nothing here imports torch; the modules that train (`trial`, `engines`) do so within the worker processes.
"""

from headrace.specs.experiment import Experiment

__all__ = ["Experiment"]
