"""The writer of whole files under its former name."""

from headrace.files import StorageError, write_whole

__all__ = ["StorageError", "write_whole"]
