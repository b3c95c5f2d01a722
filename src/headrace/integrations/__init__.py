"""Headrace inside other people's trainers and loaders: one module per package, each an extra of its own.

Nothing here is imported by the rest of Headrace, and each module imports its package when it is imported.
"""
