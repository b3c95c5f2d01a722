"""What is known of each training example: histories of predictions, and scores computed from them."""

from headrace.examples import scores
from headrace.examples.history import History, LossHistory
from headrace.examples.labels import LabelWindow
from headrace.examples.scores import SCORES, Score, smoothed
from headrace.examples.shared import SharedHistory
from headrace.examples.storage import fingerprint

__all__ = [
    "SCORES",
    "History",
    "LabelWindow",
    "LossHistory",
    "Score",
    "SharedHistory",
    "fingerprint",
    "scores",
    "smoothed",
]
