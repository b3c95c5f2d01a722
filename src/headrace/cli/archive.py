"""`archive`: the layout of the published batch-science archive, in and out."""

from __future__ import annotations

from cyclopts import App

from headrace.cli._common import say
from headrace.cli._options import APath

app = App(
    name="archive",
    help="Import or export the layout of the published batch-science archive.",
    help_format="plaintext",
)


@app.command(name="import")
def import_(
    source: APath, out: APath, *, goal: float, trials: int = 100, train_examples: int | None = None
) -> int:
    """Import one model's studies (the folder DATASET/MODEL of an archive) into the folder OUT.

    Example: headrace archive import archive/mnist/simple_cnn runs/published --goal 0.01

    Args:
        source: The folder of one data set and model; below it OPTIMIZER/BATCH_SIZE/study.json.
        out: The new folder; `headrace report OUT` then reports it.
        goal: The validation error to get strictly below.
        trials: How many complete trials of each study count.
        train_examples: The size of the training set; not needed for MNIST and Fashion-MNIST.
    """
    from headrace.exchange.archive import import_archive

    import_archive(source, out, goal=goal, trials=trials, train_examples=train_examples)
    say(f"Imported into {out}. Next: headrace report {out}")
    return 0


@app.command
def export(directory: APath, out: APath) -> int:
    """Export every trial of a run in the archive's layout.

    Example: headrace archive export runs/first archive

    Args:
        directory: The folder of a run.
        out: The archive's folder.
    """
    from headrace.exchange.archive_export import export_archive
    from headrace.store.experiments import load

    export_archive(load(directory), out)
    say(f"Exported to {out}.")
    return 0
