"""What an experiment leaves in a folder, for folders whose experiment file is gone."""

from __future__ import annotations

from pathlib import Path

_MADE = frozenset({".json", ".parquet", ".safetensors"})


def work_in(directory: Path) -> str | None:
    """The first file of trials, portraits or checkpoints in a folder, or None."""
    found = (
        path
        for name in ("studies", "replicates", "portraits", "checkpoints")
        for path in (directory / name).rglob("*.*")
    )
    # Files that file managers and sync clients leave behind are not work of an experiment.
    made = (path for path in found if path.suffix in _MADE and path.name[0] != "." and path.is_file())
    return next((str(path.relative_to(directory)) for path in made), None)
