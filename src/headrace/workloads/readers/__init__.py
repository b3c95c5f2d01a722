"""Readers of the forms in which data sets are commonly had; each returns `Labelled` or an array, in memory."""
