"""Hold two versions of Headrace against each other on this machine: the same folders, to the byte.

    python tests/tools/same_bytes.py [--words] OLD_SRC NEW_SRC

OLD_SRC finishes the experiment and the searches of `tests/house` undisturbed, to which all else is compared:
NEW_SRC reports these, figures in every form, and finds nothing to do; what OLD_SRC begins, and leaves killed
half way, is finished by OLD_SRC and by NEW_SRC, with one worker process and with two; NEW_SRC alone, from
nothing, is killed twice on the way; people were asked by OLD_SRC, and answer NEW_SRC. Only measured times may
differ; with --words also the sentences of results.json, and what pages and figures show. Ends with 1 at any
difference, and keeps the folders then. About five minutes on two quiet cores.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.house import comparing, folders
from tests.house.folders import EXPERIMENT, PEOPLE, TRANSFER

JOBS = {EXPERIMENT: (3, 9), TRANSFER: (6, 20)}
"""After how many trials or runs they are killed."""


class Both:
    """Two versions at work in one place; keeps account of what was compared.

    Args:
        old: The `src` of the one, which begins.
        new: The `src` of the other.
        place: The folder for everything.
        words: Whether sentences may differ.
    """

    def __init__(self, old: Path, new: Path, place: Path, *, words: bool) -> None:
        self._old, self._new, self._place, self._words = old, new, place, words
        self.different = 0

    def prepare(self) -> None:
        """Write what is asked, search the subset of which the experiment's file speaks, and finish all."""
        folders.write_inputs(self._place)
        searched = self._folder(TRANSFER, "old")
        folders.finish(self._old, TRANSFER, searched)
        shutil.copy(searched / "subset.parquet", self._place / folders.SUBSET_FILE)
        folders.finish(self._old, EXPERIMENT, self._folder(EXPERIMENT, "old"))
        folders.ask_people(self._old, self._folder(PEOPLE, "old"), [0, 1, 2])

    def reported(self, name: str) -> None:
        """The new one reports what the old one finished, and then has nothing to do there."""
        folder = folders.copied(self._folder(name, "old"), self._folder(name, "reported"))
        for drawn in (folder / "report.html", *folder.glob("figures/*")):
            drawn.unlink()
        folders.headrace(self._new, ["report", str(folder)])
        self._compare(name, folder, drawn=True)
        before = comparing.contents(folder)
        folders.finish(self._new, name, folder, drawn=False)
        after = comparing.contents(folder)
        kept = [file for file in before if not comparing.is_drawn(file)]
        self._tell(folder, len(kept), [file for file in kept if not self._same(file, before, after)])

    def continued(self, name: str) -> None:
        """The old one begins and is killed; each finishes a copy, the new one with two processes too."""
        begun = self._folder(name, "begun")
        folders.interrupt(self._old, name, begun, JOBS[name][1])
        for which, src, processes in (("old", self._old, 1), ("new", self._new, 1), ("new", self._new, 2)):
            folder = folders.copied(begun, self._folder(name, f"continued-{which}-{processes}"))
            folders.finish(src, name, folder, processes=processes, drawn=False)
            self._compare(name, folder)

    def killed_twice(self, name: str) -> None:
        """The new one begins, is killed, goes on, is killed, and finishes."""
        folder = self._folder(name, "killed-twice")
        for jobs in JOBS[name]:
            folders.interrupt(self._new, name, folder, jobs, processes=2)
        folders.finish(self._new, name, folder, processes=2, drawn=False)
        self._compare(name, folder)

    def asked(self) -> None:
        """People were asked by the old one, and answer the new one."""
        for processes in (1, 2):
            folder = self._folder(PEOPLE, f"asked-{processes}")
            folders.ask_people(self._old, folder, [0], processes=processes, drawn=False)
            folders.ask_people(self._new, folder, [1, 2], processes=processes, drawn=False)
            self._compare(PEOPLE, folder)

    def _same(self, file: str, before: dict[str, bytes], after: dict[str, bytes]) -> bool:
        if file not in after or not self._words:
            return before[file] == after.get(file)
        return comparing.wordless(file, before[file]) == comparing.wordless(file, after[file])

    def _folder(self, name: str, which: str) -> Path:
        return self._place / f"{name}-{which}"

    def _compare(self, name: str, folder: Path, *, drawn: bool = False) -> None:
        def but(file: str) -> bool:
            return comparing.is_drawn(file) and not drawn

        found = comparing.differences(self._folder(name, "old"), folder, but=but, words=self._words)
        self._tell(folder, sum(not but(file) for file in comparing.files(folder)), found)

    def _tell(self, folder: Path, count: int, different: Sequence[str]) -> None:
        self.different += len(different)
        print(f"{folder.name}: {count} files, {len(different)} different", flush=True)
        for file in different:
            print(f"  {file}", flush=True)


def main(arguments: Sequence[str]) -> int:
    words = "--words" in arguments
    arguments = [argument for argument in arguments if argument != "--words"]
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    old, new = (Path(argument).resolve() for argument in arguments)
    place = Path(tempfile.mkdtemp(prefix="same-bytes-"))
    both = Both(old, new, place, words=words)
    both.prepare()
    for name in (EXPERIMENT, TRANSFER, PEOPLE):
        both.reported(name)
    for name in (EXPERIMENT, TRANSFER):
        both.continued(name)
        both.killed_twice(name)
    both.asked()
    if both.different:
        print(f"{both.different} files differ; the folders are kept in {place}")
        return 1
    shutil.rmtree(place)
    print(f"no difference but in {', '.join(comparing.TIMES)} and the seals over them")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
