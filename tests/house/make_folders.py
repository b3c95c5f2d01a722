"""Make the stored folders of `fixtures/`, by hand, with the code that they shall be of.

    python tests/house/make_folders.py SRC

SRC is the `src` of that code. The folders are made in a fixed place, which is removed at the end, and packed
to the same bytes as far as measured times and the moment of the kill allow.
"""

from __future__ import annotations

import io
import json
import lzma
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.house import comparing, folders
from tests.house.folders import EXPERIMENT, PEOPLE, TRANSFER

FIXTURES = Path(__file__).parent / "fixtures"
JOBS = {EXPERIMENT: 7, TRANSFER: 20}
"""After how many trials or runs an interrupted one is killed."""


def make(src: Path, place: Path) -> None:
    """Make every folder in `place`, with the files that they are of."""
    folders.write_inputs(place)
    for name in (TRANSFER, EXPERIMENT):
        finished = place / f"{name}-finished"
        folders.finish(src, name, finished)
        if name == TRANSFER:
            shutil.copy(finished / "subset.parquet", place / folders.SUBSET_FILE)
        folders.interrupt(src, name, place / f"{name}-interrupted", JOBS[name])
    waiting = place / f"{PEOPLE}-waiting"
    folders.ask_people(src, waiting, [0])
    finished = folders.copied(waiting, place / f"{PEOPLE}-finished")
    folders.ask_people(src, finished, [1, 2])


def pack(place: Path, archive: Path) -> None:
    """Pack a folder: in order, without owners, times, and figures that are drawn again."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(place.rglob("*")):
            if path.is_file() and path.suffix not in comparing.DRAWN_AGAIN:
                entry = tarfile.TarInfo(path.relative_to(place).as_posix())
                entry.size = path.stat().st_size
                tar.addfile(entry, io.BytesIO(path.read_bytes()))
    archive.write_bytes(lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME))


def main() -> None:
    src = Path(sys.argv[1]).resolve()
    place = Path(tempfile.mkdtemp(prefix="folders-")).resolve()
    try:
        make(src, place)
        FIXTURES.mkdir(exist_ok=True)
        (FIXTURES / "probe.json").write_text(json.dumps(folders.probe(), indent=2) + "\n")
        pack(place, FIXTURES / "folders.tar.xz")
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
