"""What is known of each training example: histories of predictions, and scores computed from them."""

from headrace.examples.history import History, LossHistory
from headrace.examples.storage import fingerprint

__all__ = ["History", "LossHistory", "fingerprint"]
