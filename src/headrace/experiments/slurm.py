"""The script of a SLURM array: each task trains one part of an experiment, and survives preemption."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote, split

from headrace.errors import InputError
from headrace.specs.shares import Share

GRACE_SECONDS = 120
"""How long before the end of its time SLURM signals a task: enough to store what was measured."""
INTERRUPTED = 130
"""The exit code of a run that was interrupted and can be resumed."""

_OURS = ("array", "requeue", "no-requeue", "signal", "wrap", "output", "open-mode", "nodes", "ntasks")
_SCRIPT = """\
#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=1-{nodes}
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --output={name}-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:TERM@{grace}
{options}
# Written by `headrace submit`. Each task trains one part of the studies into a folder of its own. SIGTERM
# (preemption, the end of the time) makes it store what was measured; it is then put back into the queue and
# resumes there. Give the script to sbatch, and the merge that follows it:
#   job=$(sbatch --parsable {script})
#   sbatch --dependency=afterok:$job --wrap {merge}

{run} --part "$SLURM_ARRAY_TASK_ID/{nodes}" --out {out}-part-"$SLURM_ARRAY_TASK_ID"-of-{nodes} &
run=$!
asked_to_end=
trap 'asked_to_end=yes; kill -TERM $run 2>/dev/null' TERM
# A signal ends a wait: wait again until everything is stored.
while wait $run; code=$?; kill -0 $run 2>/dev/null; do :; done
if [ -n "$asked_to_end" ] && {{ [ $code -eq {interrupted} ] || [ $code -eq 143 ]; }}; then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit $code
"""


def merge_command(out: Path, parts: int) -> str:
    """The command that puts the parts of an array together."""
    folders = [f"{out}-{Share(number=number, of=parts).name}" for number in range(1, parts + 1)]
    return f"{_headrace()} merge {quote(str(out))} {' '.join(map(quote, folders))}"


def array_script(file: Path, *, out: Path, nodes: int, script: Path, options: Sequence[str] = ()) -> str:
    """The script for `sbatch`.

    Args:
        file: The experiment file.
        out: The folder of the merged experiment; the parts are in folders next to it.
        nodes: How many parts there are, each a task of the array.
        script: Where the script will be.
        options: More options of sbatch, such as "--partition=gpu".

    Raises:
        InputError: An option is not one of sbatch's, or would change what the script depends on.
    """
    return _SCRIPT.format(
        name=_job_name(file),
        nodes=nodes,
        grace=GRACE_SECONDS,
        interrupted=INTERRUPTED,
        options="".join(f"#SBATCH {_checked(option)}\n" for option in options),
        run=f"{_headrace()} run {quote(str(file))}",
        out=quote(str(out)),
        script=quote(str(script)),
        merge=quote(merge_command(out, nodes)),
    )


def _headrace() -> str:
    """This very installation, as other nodes find it on a shared disk."""
    return f"{quote(sys.executable)} -m headrace"


def _job_name(file: Path) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in file.stem) or "headrace"


def _checked(option: str) -> str:
    name = option.removeprefix("--").partition("=")[0]
    if not option.startswith("--") or "\n" in option or not split(option):
        fix = "For example --sbatch=--partition=gpu."
        raise InputError("must be a long option of sbatch", where="--sbatch", got=option, fix=fix)
    if name in _OURS:
        fix = "Leave it out."
        raise InputError("is set by the script, which depends on it", where="--sbatch", got=option, fix=fix)
    return option
