"""Readers of the forms in which data sets are commonly had; each returns what it read, in memory."""
