"""What is known of each training example: histories of predictions, and scores computed from them."""

from headrace.histories import scores
from headrace.histories.history import History, LossHistory
from headrace.histories.labels import LabelWindow
from headrace.histories.scores import SCORES, Score, smoothed
from headrace.histories.shared import SharedHistory
from headrace.histories.storage import fingerprint

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
