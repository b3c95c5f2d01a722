"""The command line: it reads arguments, calls the rooms below, and prints. No arithmetic."""

from headrace.cli.app import main

__all__ = ["main"]
