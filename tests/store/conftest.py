"""The small experiment and the small search of other rooms, for the tests of this room."""

from experiments.conftest import content, experiment, tiny
from search.conftest import spec, table

__all__ = ["content", "experiment", "spec", "table", "tiny"]
