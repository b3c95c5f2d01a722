"""The small experiment and the small search of other rooms, for the tests of this room."""

from experiments.conftest import content, experiment, tiny

__all__ = ["content", "experiment", "tiny"]
