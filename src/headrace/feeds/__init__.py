"""What a training was fed: a log that any loop can keep, and an audit that finds what loaders do wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.lazy import names_of

if TYPE_CHECKING:
    from headrace.feeds.log import FeedLog

__all__ = ["FeedLog"]

__getattr__ = names_of(__name__, {"FeedLog": ".log"})
