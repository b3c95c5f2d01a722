"""Sealed tables under their former names."""

from headrace.sealed import damaged, digest, parquet, sha256
from headrace.sealed import read_table as read_sealed
from headrace.sealed import write_table as write_sealed

__all__ = ["damaged", "digest", "parquet", "read_sealed", "sha256", "write_sealed"]
