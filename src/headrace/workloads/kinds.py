"""The kinds of targets. Imports no torch."""

from __future__ import annotations

from typing import Literal

Targets = Literal["classes", "labels", "numbers", "tokens"]
"""One class for each example; yes or no for each class; real numbers; one class for each token, pixel, ..."""
